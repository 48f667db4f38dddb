"""HTML made text in the form of Markdown, so that it is cut at its headings, lists and code, too."""

import re
from html.parser import HTMLParser

from vecmig.connectors.documents.document import Document
from vecmig.connectors.documents.markdown import outlined
from vecmig.connectors.documents.text import decoded

_HIDDEN = {"script", "style", "template", "noscript", "svg", "title"}
_LINES = {"br", "dd", "dt", "li", "option", "tr", "caption", "figcaption", "summary", "legend", "label"}
_CELLS = {"td", "th"}
_PARAGRAPHS = {
    *("address", "article", "aside", "blockquote", "body", "center", "details", "dialog", "div", "dl", "fieldset"),
    *("figure", "footer", "form", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
}
_HEADING = re.compile("h[1-6]")
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_DECLARED_WITHIN = 1024  # bytes, as the HTML standard asks


def html(name: str, data: bytes) -> Document:
    """Return a file as a document. Raises ValueError where it is no text."""
    parser = _Text()
    parser.feed(_decoded(data))
    if not parser.rawdata.startswith("<"):  # else a tag or comment without an end, which a browser leaves out, too
        parser.close()
    return outlined(name, parser.text, " ".join("".join(parser.title).split()))


def _decoded(data: bytes) -> str:
    try:
        return decoded(data)
    except ValueError:
        declared = _CHARSET.search(data[:_DECLARED_WITHIN])
        if declared is None or b"\0" in data:
            raise
        try:
            return data.decode(declared[1].decode("ascii"))
        except (LookupError, ValueError):
            raise ValueError(f"it is neither UTF-8 nor the {declared[1].decode('ascii')} that it declares") from None


class _Text(HTMLParser):
    """Breaks lines where an element begins or ends that a browser would. Needs no tree: nothing nests too deep."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self._parts: list[str] = []
        self._hidden: list[str] = []
        self._break = 0  # line ends due before the next text
        self._space = False  # likewise a space
        self._prefix = ""
        self._pre = 0

    @property
    def text(self) -> str:
        return "".join(self._parts) + "\n"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        elif not self._hidden:
            self._edge(tag)
            if _HEADING.fullmatch(tag):
                self._prefix = "#" * int(tag[1]) + " "
            elif tag == "li":
                self._prefix = "- "
            elif tag == "pre":
                self._add("```\n")
                self._pre += 1
            elif tag in _CELLS and not self._break:
                self._add(" | ")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif not self._hidden:
            if tag == "pre" and self._pre:
                self._pre -= 1
                self._add("" if self._parts and self._parts[-1].endswith("\n") else "\n")
                self._add("```")
            if tag != "br":
                self._edge(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _HIDDEN:  # `<script/>` in XHTML is whole
            self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        if self._hidden:
            if self._hidden == ["title"]:
                self.title.append(data)
            return
        if self._pre:
            self._add(data)
            return
        words = data.split()
        if not words:
            self._space = self._space or bool(data)
            return
        if (self._space or data[0].isspace()) and not self._break and self._parts:
            self._parts.append(" ")
        self._add(" ".join(words))
        self._space = data[-1].isspace()

    def _edge(self, tag: str) -> None:
        if tag in _PARAGRAPHS:
            self._break = 2
        elif tag in _LINES:
            self._break = max(self._break, 1)
        else:
            return
        self._prefix = ""

    def _add(self, text: str) -> None:
        if self._parts and self._break:
            self._parts.append("\n" * self._break)
        self._break, self._space = 0, False
        self._parts.append(self._prefix + text)
        self._prefix = ""
