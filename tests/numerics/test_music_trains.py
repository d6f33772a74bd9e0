"""Scores made into records are data that a job takes, and learning it lowers the loss of tunes that were held out."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.datasets import preflight
from outcrop.datasets.records import Customization
from outcrop.recipes.infill import infill
from outcrop.recipes.musicxml import musicxml
from outcrop.recipes.recipe import Item, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.writing import write
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune, pretrain
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support.small_tokenizers import TEST_DATA

FEW = PartSizes(train=Share(count=30), validation=Share(percent=15))
QUICK = TrainingHyper(epochs=1, batch_size=4, learning_rate=2e-3, threads=1, evaluations_per_epoch=1)


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
    train, validation = tmp_path / "out/train.jsonl", tmp_path / "out/validation.jsonl"

    starter = Catalog(tmp_path / "home").usable("outcrop.starter-v1")
    assert starter.folder is not None
    report = preflight.examine(
        [train, validation],
        tokenizer=Tokenizer.open(starter.folder),
        context_length=starter.context_length,
        customization=customization,
    )
    assert report.problems == ()
    assert all(file.num_records and not file.duplicates and not file.overlap for file in report.files)

    task = TrainingTask(
        base_dir=starter.folder,
        base_name="starter",
        parent_adapter=None,
        train=train,
        validators=(validation,),
        customization=customization,
        hyper=QUICK,
        run_dir=tmp_path / "run",
        output_dir=tmp_path / "trained",
    )
    stage = finetune if customization == "FINE_TUNING" else pretrain
    (held_out,) = stage.train(task, Hooks()).validators
    assert held_out.custom.loss < held_out.base.loss
