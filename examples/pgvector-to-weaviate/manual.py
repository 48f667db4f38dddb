"""Real texts that are on every machine with Python: what its standard library says of its own functions and classes."""

import ast
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FEWEST_WORDS = 8
LEFT_OUT = {"__pycache__", "dist-packages", "idlelib", "lib2to3", "site-packages", "test", "tests", "turtledemo"}


@dataclass(frozen=True, slots=True)
class Entry:
    id: str
    """As one would import it: `shutil.rmtree`."""
    title: str
    """As it is called: `rmtree(path, ignore_errors=False, onerror=None)`; a class with what it derives from."""
    text: str
    module: str
    kind: str
    """module, class or function."""
    lines: int


def entries() -> list[Entry]:
    """Return them in the order of their files, each text once. The modules are read, none is imported."""
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, Entry] = {}
    for file in sorted(library.rglob("*.py")):
        inside = file.relative_to(library)
        if LEFT_OUT.isdisjoint(inside.parts):
            name = ".".join(part for part in inside.with_suffix("").parts if part != "__init__")
            for entry in _entries(ast.parse(file.read_bytes()), name, name):
                found.setdefault(entry.text, entry)
    return list({entry.id: entry for entry in found.values()}.values())


def _entries(node: ast.AST, id: str, module: str) -> Iterator[Entry]:
    match node:
        case ast.Module():
            title, kind = id, "module"
        case ast.ClassDef():
            title, kind = f"{node.name}({', '.join(map(ast.unparse, node.bases))})", "class"
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            title, kind = f"{node.name}({ast.unparse(node.args)})", "function"
        case _:
            return
    text = ast.get_docstring(node) or ""
    if len(text.split()) >= FEWEST_WORDS:
        yield Entry(id, title, text, module, kind, len(text.splitlines()))
    for part in node.body:
        if isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _entries(part, f"{id}.{part.name}", module)
