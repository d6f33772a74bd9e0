"""The lead sheets of the test data, and the bars in which a round trip through ABC may differ, by name and reason."""

from pathlib import Path

import pytest

from tests.support.small_tokenizers import TEST_DATA

TIES = "the source draws only one end of a tie, or draws it between different pitches"
SUSPENDED = "the reader drops the suspension of 7sus4"
DOUBLE_FLAT = "the reader knows no double flat in a chord"
POWER = "the reader knows no power chord"
MAJOR_MINOR = "the source calls mMaj7 minor-major, which is no kind of MusicXML's, and the reader knows none either"
HALF_DIMINISHED = "the source writes a half-diminished chord as a minor seventh with its fifth lowered"

IN_THE_SOURCE = {
    "Alicia_Scott__Annie_Laurie": {2: TIES},
    "Eug_ne_Pottier-Pierre_De_Geyter__L_Internationale": {60: HALF_DIMINISHED},
    "Gus_Kahn-Walter_Donaldson__Love_Me_or_Leave_Me": {16: TIES},
    "John_Henry_Hopkins_Jr.__We_Three_Kings": dict.fromkeys(
        (first + chorus for chorus in range(0, 160, 32) for first in (19, 20, 23)), TIES
    ),
    "John_W._Bratton__The_Teddy_Bears_Picnic": {0: MAJOR_MINOR, 2: MAJOR_MINOR},
    "Katharine_Lee_Bates__America_the_Beautiful": {12: TIES, 16: TIES},
    "_Traditional___Didn_t_My_Lord_Deliver_Daniel": {12: TIES},
}
"By file, the indices of the bars that the source itself writes so that no reader gives them back."
OF_ABC2XML = {
    "Charles_Gounod__Ave_Maria": {26: SUSPENDED, 28: DOUBLE_FLAT, 30: SUSPENDED},
    "Glen_MacDonough-Victor_Herbert__Toyland": {12: SUSPENDED},
    "Gus_Kahn-Walter_Donaldson__My_Baby_Just_Cares_for_Me": {9: SUSPENDED},
    "William_W._Walford__Sweet_Hour_of_Prayer": dict.fromkeys((1, 6, 9, 14, 25), SUSPENDED),
    "_Traditional____la_claire_fontaine": {10: POWER},
}
"By file, the indices of the bars with a chord that abc2xml reads as another."


def lead_sheets() -> list[Path]:
    """The files, or a test skipped where they are not."""
    folder = TEST_DATA / "openewld-leadsheets"
    if not folder.exists():
        pytest.skip(f"{folder} is not here; set OUTCROP_TEST_DATA")
    return sorted(folder.glob("*.mxl"))
