"""PDF: the text of each page, with a mark where it begins."""

from threading import Lock

from pypdfium2 import PdfDocument, PdfiumError

from vecmig.connectors.documents.document import Document, Mark

_ONE_AT_A_TIME = Lock()  # PDFium is not safe to call from several threads
_BETWEEN = "\n\n"


def pdf(name: str, data: bytes, max_characters: int) -> Document:
    """Return a file as a document. Raises ValueError where there is no text to be had."""
    pages: list[str] = []
    marks: list[Mark] = []
    at = 0
    with _ONE_AT_A_TIME:
        try:
            file = PdfDocument(data)
        except PdfiumError as error:
            if "password" in str(error):
                raise ValueError("it is encrypted: save a copy without a password") from None
            raise ValueError(f"it is no PDF, or a damaged one: {error}") from None
        try:
            title = " ".join(file.get_metadata_dict().get("Title", "").split())
            for number in range(len(file)):
                text = _text_of(file, number)
                marks.append(Mark(at, "page", number + 1))
                pages.append(text)
                at += len(text) + len(_BETWEEN)
                if at > max_characters:
                    raise ValueError(f"its text is longer than {max_characters:,} characters: raise `max_document_mib`")
        finally:
            file.close()
    if not any(page.strip() for page in pages):
        raise ValueError(f"none of its {len(pages):,} pages has a text: pictures of text need character recognition")
    about = {"source": name, **({"title": title} if title else {})}
    return Document(name, text=_BETWEEN.join(pages), marks=marks, about=about)


def _text_of(file: PdfDocument, number: int) -> str:
    try:
        page = file[number]
        try:
            text = page.get_textpage()
            try:
                found: str = text.get_text_bounded()
            finally:
                text.close()
        finally:
            page.close()
    except PdfiumError as error:
        raise ValueError(f"its page {number + 1:,} is damaged: {error}") from None
    found = found.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    return found.replace("\ufffe\n", "").replace("\ufffe", "")  # a hyphen at the end of a line, as PDFium tells it
