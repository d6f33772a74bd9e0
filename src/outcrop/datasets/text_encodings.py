"""Encodings of text that is not UTF-8, named by a file's first bytes."""

import codecs

from outcrop.datasets.form import HEAD_BYTES, Form

_FOR_ICONV = {"Latin-1": "ISO-8859-1", "Windows-1252": "CP1252", "Shift_JIS": "CP932"}
_ENCODINGS: dict[tuple[bool, ...], str] = {
    (True, True, True, False): "UTF-32BE",
    (False, True, True, True): "UTF-32LE",
    (True, False, True, False): "UTF-16BE",
    (False, True, False, True): "UTF-16LE",
}


def other_encoding(name: str, head: bytes) -> Form | None:
    """The form of text in another encoding; `name` is the file's, as a shell takes it."""
    # What begins any text of ours is ASCII, so that the places of NUL bytes tell the encoding (RFC 4627, section 3).
    zeros = tuple(byte == 0 for byte in head[:4])
    named = _ENCODINGS.get(zeros)
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        named = "UTF-32"
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        named = "UTF-16"
    if named is None:
        named = _byte_encoding(head)
    if named is None:
        return None
    asked = _FOR_ICONV.get(named, named)
    return Form(f"{named} text, not UTF-8", f"Turn it into UTF-8: iconv -f {asked} -t UTF-8 {name} > NEW.jsonl")


def _byte_encoding(head: bytes) -> str | None:
    """The encoding of a file that is not UTF-8, else None. It has more than one line with letters beyond ASCII, and
    none of these lines is UTF-8."""
    lines = [line for line in head.splitlines()[:1000] if not line.isascii()]
    if len(lines) > 1 and len(head) >= HEAD_BYTES:
        lines.pop()  # it may be cut within a character
    if len(lines) < 2 or any(_decodes(line, "utf-8") for line in lines) or any(b"\0" in line for line in lines):
        return None
    for name, spoken in (("cp932", "Shift_JIS"), ("euc_jp", "EUC-JP")):
        if all(_decodes(line, name) for line in lines) and _is_japanese(b"\n".join(lines).decode(name)):
            return spoken
    beyond = any(0x80 <= byte < 0xA0 for line in lines for byte in line)  # quotation marks and dashes of Windows
    return "Windows-1252" if beyond else "Latin-1"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_japanese(text: str) -> bool:
    letters = [char for char in text if not char.isascii()]
    usual = sum("\u3000" <= char <= "\u30ff" or "\u4e00" <= char <= "\u9fff" for char in letters)
    return usual > 0.9 * len(letters)
