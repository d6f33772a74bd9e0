"""A melody engraved as a picture, through verovio where it is installed."""

from typing import Any

from outcrop.errors import MachineTrouble
from outcrop.music.musicxml_writing import musicxml_text
from outcrop.music.score import Part

WIDTH = 1600
_LONGEST_PAGE = 60_000
"verovio takes no more."


def engraved(part: Part, *, title: str = "", width: int = WIDTH, scale: int = 40, one_page: bool = False) -> list[str]:
    """The part as SVG, a page each, or one page of any length.

    `width` is in pixels at the given scale in percent.

    verovio reads MusicXML better than ABC, of which it loses tuplets that are written out, endings and grace notes.
    """
    toolkit = _verovio().toolkit()
    toolkit.setOptions(
        {
            "inputFrom": "xml",
            "pageWidth": round(width * 100 / scale),
            "adjustPageHeight": True,
            "scale": scale,
            "svgViewBox": True,
            "header": "auto" if title else "none",
            "footer": "none",
            "breaks": "auto",
            **({"pageHeight": _LONGEST_PAGE} if one_page else {}),
        }
    )
    if not toolkit.loadData(musicxml_text(part, title=title, degrees=False)):
        raise MachineTrouble(f"verovio cannot engrave {title or 'the melody'}: {toolkit.getLog().strip()}")
    return [toolkit.renderToSVG(page) for page in range(1, toolkit.getPageCount() + 1)]


def _verovio() -> Any:
    try:
        import verovio
    except ImportError as error:
        raise MachineTrouble("Engraving needs verovio. Install it: pip install 'outcrop[music]'.") from error
    return verovio
