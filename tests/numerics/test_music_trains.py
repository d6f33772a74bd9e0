"""Scores made into records are data that a job takes, and learning it lowers the loss of tunes that were held out."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from outcrop.datasets.records import Customization
from outcrop.recipes.infill import infill
from outcrop.recipes.musicxml import musicxml
from outcrop.recipes.recipe import Item, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.writing import write
from tests.support.small_tokenizers import TEST_DATA
from tests.support.starter_training import check_that_it_teaches

FEW = PartSizes(train=Share(count=30), validation=Share(percent=15))


@pytest.mark.parametrize(
    ("recipe", "names", "customization"),
    [
        (partial(musicxml, chords="without"), "openewld-leadsheets/_Traditional___S*.mxl", "CONTINUED_PRE_TRAINING"),
        (partial(infill, form="variant", window=4), "nottingham-abc/xmas.abc", "FINE_TUNING"),
    ],
)
def test_music_passes_preflight_and_lowers_the_held_out_loss(
    tmp_path: Path, recipe: Callable[[Sequence[Path]], Iterable[Item]], names: str, customization: Customization
) -> None:
    sources = sorted(TEST_DATA.glob(names))
    if not sources:
        pytest.skip(f"{TEST_DATA / names} is not here; set OUTCROP_TEST_DATA")
    run = RecipeRun(recipe="music", rule="", sources=sources)
    write(run, within(recipe(sources), most_characters=500), tmp_path / "out", split=FEW)
    check_that_it_teaches(tmp_path / "out", customization, tmp_path)
