"""Character shingles of a text, hashed: what near duplicates have in common, in any language.

A text is compared as NFKC, case and white space apart. Shingles are 5 letters long, and 3 where most letters are
Chinese, Japanese or Korean, since one of those says as much as a few of the alphabet's.
"""

import unicodedata

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_LETTERS, _CJK_LETTERS = 5, 3
_LOOKED_AT = 200
"Letters by which it is told whether most are Chinese, Japanese or Korean."
_MOST_LETTERS = 1_000_000
"Of a longer text, only the beginning is compared."
_CJK = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0xD840, 0xD8FF))
"In UTF-16, whose last range begins the letters beyond its first 65,536."
_THREE_LETTERS = np.uint64(0xFFFF_FFFF_FFFF)
_FACTOR, _OTHER_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(33)
_UNIT_BYTES, _WORD_BYTES = 2, 8


def of_text(text: str) -> Hashes:
    """The hashes of a text's shingles, those that come twice too; none for a text without letters."""
    plain = text[:_MOST_LETTERS]
    is_ascii = plain.isascii()
    small = plain.lower() if is_ascii else unicodedata.normalize("NFKC", plain).casefold()
    plain = " ".join(small.split())
    units = plain.encode("utf-16-le", "surrogatepass")
    letters = np.frombuffer(units, dtype="<u2")
    if not len(letters):
        return np.empty(0, dtype=np.uint64)
    is_cjk = not is_ascii and _is_cjk(letters)
    num = max(1, len(letters) - (_CJK_LETTERS if is_cjk else _LETTERS) + 1)
    # Each word of eight bytes holds four letters: one view of the text has the beginnings of all shingles.
    padded = units + bytes(_LETTERS * _UNIT_BYTES + _WORD_BYTES)
    four = np.ndarray((num,), dtype="<u8", buffer=padded, strides=(_UNIT_BYTES,))
    if is_cjk:
        hashes = (four & _THREE_LETTERS) * _FACTOR
    else:
        fifth = np.frombuffer(padded, dtype="<u2")[4 : 4 + num].astype(np.uint64)
        hashes = four * _FACTOR + fifth * _OTHER_FACTOR
    mixed: Hashes = (hashes ^ (hashes >> _SHIFT)) * _OTHER_FACTOR
    return mixed


def _is_cjk(letters: NDArray[np.uint16]) -> bool:
    letters = letters[:_LOOKED_AT]
    if int(letters.max()) < _CJK[0][0]:
        return False
    return sum(int(((letters >= first) & (letters <= last)).sum()) for first, last in _CJK) * 2 > len(letters)
