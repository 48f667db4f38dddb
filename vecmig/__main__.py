"""`python -m vecmig`."""

from vecmig.cli.main import main

main()
