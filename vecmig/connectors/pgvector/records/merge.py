"""The document and the typed columns of a row, as one JSON object: text joined to text, nothing parsed."""

from collections.abc import Sequence

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

OBJECT = "the metadata is no JSON object"
TWICE = "a field stands in its own column and in the metadata, too: which one is meant is not known"


def merged(
    document: pa.StringArray | None, fields: Sequence[tuple[str, pa.StringArray]], nulls_are_absent: bool
) -> tuple[pa.StringArray, pa.Array]:
    """Return (n,) JSON objects, and (n,) whether the document was no object: then it is left out.

    A NULL column is an absent key, or a JSON null where no document could hold that.
    """
    pieces = [_piece(name, values, nulls_are_absent) for name, values in fields]
    if document is None:
        inner, bad = pa.scalar("", pa.string()), None
    else:
        text = pc.utf8_trim_whitespace(pc.fill_null(document, "{}"))
        good = pc.and_(pc.starts_with(text, "{"), pc.ends_with(text, "}"))
        bad = None if pc.all(good).as_py() in (True, None) else pc.invert(good)
        if not pieces and bad is None:
            return text, None
        inner = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(pc.if_else(good, text, "{}"), 1, -1))
        inner = pc.if_else(pc.equal(inner, ""), "", pc.binary_join_element_wise(",", inner, ""))
    # each piece begins with a comma: the first one goes
    joined = pc.binary_join_element_wise(inner, *pieces, "") if document is not None else _joined(pieces)
    return pc.binary_join_element_wise("{", pc.utf8_slice_codeunits(joined, 1), "}", ""), bad


def shortest(values: pa.StringArray, single: bool) -> pa.StringArray:
    """Return JSON numbers, or lists of them, in the shortest text of their value.

    PostgreSQL writes 6.7267270501134896e+16 for what all others write as 6.72672705011349e+16: the same double, but
    another decimal. `single`: the text is that of a float32.
    """
    turn = _singles if single else orjson.loads
    return pa.array([text and orjson.dumps(turn(text)) for text in values.to_pylist()], pa.binary()).cast(pa.string())


def _singles(text: str) -> object:
    def rounded(value: object) -> object:
        if isinstance(value, list):
            return [rounded(each) for each in value]
        return float(str(np.float32(value))) if isinstance(value, int | float) else value

    return rounded(orjson.loads(text))


def _joined(pieces: Sequence[pa.StringArray]) -> pa.StringArray:
    return pc.binary_join_element_wise(*pieces, "")


def _piece(name: str, values: pa.StringArray, nulls_are_absent: bool) -> pa.StringArray:
    label = f",{orjson.dumps(name).decode()}:"
    if nulls_are_absent:
        return pc.fill_null(pc.binary_join_element_wise(label, values, ""), "")
    return pc.binary_join_element_wise(label, pc.fill_null(values, "null"), "")
