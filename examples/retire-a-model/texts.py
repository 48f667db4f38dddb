"""Real texts that are on every machine with Python: what its standard library says of its own functions and classes."""

import ast
import sysconfig
from collections.abc import Iterator
from pathlib import Path

MODULES = """
    base64 bisect calendar collections configparser contextlib copy csv datetime difflib filecmp fileinput fnmatch functools
    getpass gettext glob graphlib gzip hashlib heapq html http.server inspect ipaddress json linecache locale mimetypes netrc
    os pathlib platform pprint queue random sched secrets shelve shlex shutil socket ssl statistics string subprocess tarfile
    tempfile textwrap threading timeit traceback types urllib.parse urllib.request uuid webbrowser zipfile
"""
FEWEST_WORDS = 4


def texts() -> dict[str, str]:
    """Return the first paragraph of each, by the name that one would import. The modules are read, none is imported."""
    return {name: text for module in MODULES.split() for name, text in _texts(ast.parse(_source(module)), module)}


def _source(module: str) -> bytes:
    path = Path(sysconfig.get_path("stdlib"), *module.split("."))
    files = (path / "__init__.py", path / "_local.py", path.with_suffix(".py"))  # pathlib became a package
    return b"\n".join(file.read_bytes() for file in files if file.exists())


def _texts(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    for part in getattr(node, "body", []):
        if isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not part.name.startswith("_"):
            inside = f"{name}.{part.name}"
            text = " ".join((ast.get_docstring(part) or "").split("\n\n")[0].split())
            if len(text.split()) >= FEWEST_WORDS:
                yield inside, text
            if isinstance(part, ast.ClassDef):
                yield from _texts(part, inside)
