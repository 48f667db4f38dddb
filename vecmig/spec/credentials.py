"""Which texts of a spec are credentials that must not stand in a file. A guess from their shape, on the safe side."""

import re

_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_HOLE = "\0"  # stands for an expression: what it gives is not in the file
_SENSITIVE = re.compile(r"(?i)key|token|secret|passw|pwd|auth|credential|header")
_USERINFO = re.compile(r"://[^:@/\s]*:([^\s]+)@")
_PARAMETER = re.compile(
    r"""(?ix) (?:^|[\s?&;]) (?:password|passwd|pwd|sslpassword|token|api_?key|secret|access_?key) \s*=\s* '? ([^\s&;']+)"""
)
_CONNECTION = re.compile(r"(?i)[a-z][a-z0-9+.-]*:|\s*[a-z_]+\s*=")  # a URL, a scheme and a path, or key=value pairs
_WELL_KNOWN = re.compile(
    r"\b(?:sk-[A-Za-z0-9_-]{20,}|pcsk_[A-Za-z0-9_]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,})"
)
_URL_PASSWORD = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")


def literal_credential(key: str, text: str) -> bool:
    """Return whether a text at a key that takes a secret holds one itself, instead of an expression that finds it."""
    literal = _EXPRESSION.sub(_HOLE, text)
    if not literal.strip():
        return False
    found = [*_USERINFO.findall(literal), *_PARAMETER.findall(literal)]
    if any(_HOLE not in value for value in found):
        return True
    if _HOLE in literal:
        return False
    return bool(_SENSITIVE.search(key) or not _CONNECTION.match(literal))


def looks_like_credential(text: str) -> bool:
    """Return whether a text at any other key is a credential that strayed there."""
    literal = _EXPRESSION.sub(_HOLE, text)
    return bool(_WELL_KNOWN.search(literal)) or any(_HOLE not in value for value in _URL_PASSWORD.findall(literal))
