"""Change one of the files, as somebody does in the course of a year: `python change.py`.

One sentence gets another number, and the last part of the file goes.
"""

from pathlib import Path

FILE = Path(__file__).parent / ".demo" / "handbook" / "membership.md"


def main() -> None:
    text = FILE.read_text("utf-8")
    kept, _, gone = text.partition("## Helping out")
    FILE.write_text(kept.rstrip().replace("work pay 14 euros", "work pay 17 euros") + "\n", "utf-8")
    print(f"\nmembership.md: 17 euros in place of 14, and {'the part Helping out is gone' if gone else 'no more'}")


if __name__ == "__main__":
    main()
