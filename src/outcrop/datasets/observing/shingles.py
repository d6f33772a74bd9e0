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
_CJK = ((0x3040, 0x30FF), (0x3400, 0x9FFF), (0xAC00, 0xD7AF), (0x20000, 0x3FFFF))
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xFF51AFD7ED558CCD)
_SHIFT = np.uint64(33)


def of_text(text: str) -> Hashes:
    """The hashes of a text's shingles, those that come twice too; none for a text without letters."""
    plain = " ".join(unicodedata.normalize("NFKC", text[:_MOST_LETTERS]).casefold().split())
    letters = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    if not len(letters):
        return np.empty(0, dtype=np.uint64)
    length = min(_CJK_LETTERS if _is_cjk(letters) else _LETTERS, len(letters))
    num = len(letters) - length + 1
    wide = letters.astype(np.uint64)
    hashes = np.zeros(num, dtype=np.uint64)
    for place in range(length):
        hashes = hashes * _FACTOR + wide[place : place + num]
    hashes *= _MIX
    mixed: Hashes = hashes ^ (hashes >> _SHIFT)
    return mixed


def _is_cjk(letters: NDArray[np.uint32]) -> bool:
    letters = letters[:_LOOKED_AT]
    return sum(int(((letters >= first) & (letters <= last)).sum()) for first, last in _CJK) * 2 > len(letters)
