"""Media types of contents that come with a request, and the suffix by which each is read."""

_SUFFIXES = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "application/xhtml+xml": ".xhtml",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}


def suffix_of(mime_type: str | None) -> str:
    """The suffix for contents of this type; that of plain text where nothing is said.

    A type that is not read gives itself, which is then refused by its name.
    """
    if mime_type is None:
        return ".txt"
    plain = mime_type.partition(";")[0].strip().lower()
    return _SUFFIXES.get(plain, f".{plain.rpartition('/')[2]}")
