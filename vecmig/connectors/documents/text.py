"""Bytes of a text file made text."""


def decoded(data: bytes) -> str:
    """Return the text, without a byte order mark and with line ends as `\\n`.

    That is what Python's `open(path, encoding="utf-8-sig")` reads, so that offsets mean the same there, whichever line
    ends a checkout has. Raises ValueError that says why it is no text.
    """
    if b"\0" in data:
        raise ValueError("it is binary, or UTF-16: it holds a byte 0. Leave it out, or convert it to UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"it is not UTF-8: byte 0x{data[error.start]:02x} at {error.start:,}. Leave it out, or convert it (iconv"
            " -t UTF-8)"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
