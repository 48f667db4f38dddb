"""What a switch did, for people and as JSON."""

from collections.abc import Sequence

import msgspec

from vecmig.reporting.escape import visible


class Switch(msgspec.Struct, frozen=True):
    """What became of one target; see `vecmig cutover --json`."""

    target: str
    serving: str
    before: str
    searches: int
    instead: str = ""
    written_since: str = ""
    again: bool = False


def switched_text(done: object, back: str) -> str:
    """Return what became of one target; `back`: the command that undoes it."""
    each = msgspec.convert(done, Switch, from_attributes=True)
    before = f"what served before is {each.before}" if each.before else "what served before was not there any more"
    lines = [f"{'Done before' if each.again else 'Switched'}: {each.target} serves {each.serving}; {before}"]
    if each.searches:
        lines.append(f"Searched    {each.searches} times, each found something")
    else:
        lines.append("Searched    not once: it holds no vector")
    if each.instead:
        lines.append(f"! this store has no names to switch: {each.instead}")
    if each.written_since:
        lines.append(f"! {each.written_since}")
    if each.before:
        lines.append(f"Undo it     vecmig {back}")
    return "\n".join(map(visible, lines)) + "\n"


def switched_json(done: Sequence[object]) -> str:
    found = [msgspec.convert(each, Switch, from_attributes=True) for each in done]
    return _json({"format_version": 1, "switched": found})


def dropped_json(superseded: Sequence[str], dropped: Sequence[str]) -> str:
    return _json({"format_version": 1, "superseded": list(superseded), "dropped": list(dropped)})


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"
