"""PDFs written by hand, with text at given places, for tests of reading them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

WIDTH, HEIGHT = 595, 842


class Placed(NamedTuple):
    """A text whose baseline begins at a place of the page, in points from the lower left."""

    x: float
    y: float
    text: str
    size: float = 10
    vertical: bool = False


@dataclass
class PdfFile:
    """Pages of placed texts; Latin ones in Helvetica, any other in a Japanese font of every reader."""

    pages: Sequence[Sequence[Placed]] = ()
    pictures: set[int] = field(default_factory=set)
    "Pages, counted from 0, that have a picture."
    rotate: int = 0

    def write(self, path: Path) -> Path:
        path.write_bytes(self.to_bytes())
        return path

    def to_bytes(self) -> bytes:
        kids = " ".join(f"{number} 0 R" for number in range(10, 10 + 2 * len(self.pages), 2))
        objects = {
            1: b"<</Type/Catalog/Pages 2 0 R>>",
            2: f"<</Type/Pages/Count {len(self.pages)}/Kids[{kids}]>>".encode(),
            3: b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
            4: _japanese("H", 5),
            5: _CID,
            6: _japanese("V", 5),
            7: b"<</Type/XObject/Subtype/Image/Width 1/Height 1/ColorSpace/DeviceGray/BitsPerComponent 8/Length 1>>"
            b"\nstream\n\x80\nendstream",
        }
        for number, page in enumerate(self.pages):
            content = b"\n".join(map(_shown, page))
            if number in self.pictures:
                content += b"\nq 200 0 0 200 100 300 cm /P Do Q"
            objects[10 + 2 * number] = (
                f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {WIDTH} {HEIGHT}]/Rotate {self.rotate}/Contents "
                f"{11 + 2 * number} 0 R/Resources<</Font<</L 3 0 R/H 4 0 R/V 6 0 R>>/XObject<</P 7 0 R>>>>>>"
            ).encode()
            objects[11 + 2 * number] = b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content)
        return _file(objects)


def column(x: float, top: float, lines: Sequence[str], *, size: float = 10, step: float = 12) -> list[Placed]:
    """Lines below each other."""
    return [Placed(x, top - step * number, line, size) for number, line in enumerate(lines)]


_CID = (
    b"<</Type/Font/Subtype/CIDFontType0/BaseFont/Ryumin-Light/CIDSystemInfo<</Registry(Adobe)/Ordering(Japan1)"
    b"/Supplement 2>>/DW 1000/FontDescriptor<</Type/FontDescriptor/FontName/Ryumin-Light/Flags 4/FontBBox"
    b"[0 -200 1000 900]/ItalicAngle 0/Ascent 880/Descent -120/CapHeight 700/StemV 80>>>>"
)


def _japanese(direction: str, descendant: int) -> bytes:
    return (
        f"<</Type/Font/Subtype/Type0/BaseFont/Ryumin-Light/Encoding/UniJIS-UCS2-{direction}"
        f"/DescendantFonts[{descendant} 0 R]>>"
    ).encode()


def _shown(placed: Placed) -> bytes:
    try:
        content, font = placed.text.encode("cp1252"), "L"
    except UnicodeEncodeError:
        content, font = placed.text.encode("utf-16-be"), "V" if placed.vertical else "H"
    return f"BT /{font} {placed.size} Tf {placed.x} {placed.y} Td <{content.hex()}> Tj ET".encode()


def _file(objects: dict[int, bytes]) -> bytes:
    content = bytearray(b"%PDF-1.5\n")
    places = {}
    for number, inside in objects.items():
        places[number] = len(content)
        content += b"%d 0 obj\n%s\nendobj\n" % (number, inside)
    size, start = max(objects) + 1, len(content)
    rows = [b"%010d 00000 n \n" % places[n] if n in places else b"0000000000 65535 f \n" for n in range(size)]
    content += b"xref\n0 %d\n%s" % (size, b"".join(rows))
    return bytes(content + b"trailer\n<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start))
