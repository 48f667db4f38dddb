"""Names: of tables as the spec writes them, of the columns that vecmig makes, of its indexes."""

import hashlib
import re
from dataclasses import dataclass

MAX_BYTES = 63  # NAMEDATALEN - 1: the server would cut a longer name off in silence
MARK = "vecmig:"  # every mark begins so
EMBEDDING = "embedding"
CREATED_AT = "created_at"
RESERVED = ("id", "namespace", "metadata", CREATED_AT, EMBEDDING)
SYSTEM_COLUMNS = ("tableoid", "xmin", "cmin", "xmax", "cmax", "ctid")
_PART = re.compile(r'"(?:[^"]|"")+"|[^."]+')


@dataclass(frozen=True, slots=True)
class TableName:
    schema: str | None  # None: the first one on the search path that holds it
    name: str


def parse_table(text: str) -> TableName:
    """Return the table that `name`, `schema.name` or `"a.b"."c"` says, letter by letter: nothing is folded.

    A name without dots may hold any character. Raises ValueError that says how to write it.
    """
    parts = _PART.findall(text)
    if ".".join(parts) != text:
        parts = [text] if "." not in text else []
    else:
        parts = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in parts]
    if not parts or len(parts) > 2 or not all(parts):
        raise ValueError(f'`{text}` names no table: write `table`, `schema.table`, or a name with dots as `"a.b"`')
    for part in parts:
        if "\0" in part:
            raise ValueError("the name of a table holds a NUL character, which PostgreSQL does not know")
        if len(part.encode()) > MAX_BYTES:
            raise ValueError(f"`{part}` is longer than {MAX_BYTES} bytes, PostgreSQL's limit for a name: shorten it")
    return TableName(parts[0] if len(parts) == 2 else None, parts[-1])


def beside(table: str, generation: int) -> str:
    """Return, as a spec writes it, the name of a table beside this one."""
    known = parse_table(table)
    name = shortened(known.name, f"__v{generation}")
    return ".".join(_quoted(part) for part in (known.schema, name) if part is not None)


def renamed(part: str, old: str, new: str) -> str:
    """Return the name of an index or constraint that is named after a table, once that is called `new`.

    What is not named after it keeps its name.
    """
    if not part.startswith(f"{old}_"):
        return part
    return shortened(new, part.removeprefix(old))


def shortened(name: str, tail: str) -> str:
    """Return both as one name; where that is too long, with a digest in it: names that begin alike would be one."""
    if len((name + tail).encode()) <= MAX_BYTES:
        return name + tail
    tail = f"~{_digest(name)[:4]}{tail}"
    if len(tail.encode()) > MAX_BYTES:
        tail = f"~{_digest(name + tail)}"
    return name.encode()[: MAX_BYTES - len(tail.encode())].decode(errors="ignore") + tail


def _quoted(part: str) -> str:
    return '"' + part.replace('"', '""') + '"' if set('."') & set(part) else part


def vector_column(vector: str) -> str:
    """Return vecmig's column for a vector: `embedding`, `embedding_title`."""
    return f"{EMBEDDING}_{vector}" if vector else EMBEDDING


def vector_name(column: str) -> str:
    """Return the vector whose column this is: the inverse of `vector_column`."""
    return "" if column == EMBEDDING else column.removeprefix(f"{EMBEDDING}_")


def search_column(field: str) -> str:
    """Return the generated tsvector column of a text field."""
    return f"{field}_search"


def index_name(table: str, definition: str) -> str:
    """Return the name of the index of vecmig's that `definition` describes: the same each time, at most 63 bytes."""
    return shortened(table, f"_{_readable(definition)}_vm{_digest(definition)}")


def is_own_index(name: str, definition: str) -> bool:
    """Return whether vecmig made it: the name ends with the digest of what the index really is.

    So the mark survives a rename of the table, and a restore from a dump.
    """
    return name.endswith(f"_vm{_digest(definition)}")


def _readable(definition: str) -> str:
    words = re.sub(r"[^A-Za-z0-9]+", "_", definition).strip("_")
    return words[:24].rstrip("_")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
