"""The output of each recipe is data that a job takes, and learning it lowers the loss of what was held out."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.datasets import preflight
from outcrop.recipes.dialogue import dialogue
from outcrop.recipes.dolly import dolly
from outcrop.recipes.feedback import feedback
from outcrop.recipes.recipe import Item, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.verse import verse
from outcrop.recipes.writing import write
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask
from tests.support.small_tokenizers import TEST_DATA

FEW = PartSizes(train=Share(count=16), validation=Share(count=6))
QUICK = TrainingHyper(epochs=1, batch_size=4, learning_rate=2e-3, threads=1, evaluations_per_epoch=1)


def log_of_answers(source: Path, folder: Path) -> Path:
    """An invocation log in which somebody's model answered the source's questions as the source does."""
    log = folder / "log.json"
    with source.open() as file, log.open("w") as written:
        for number, row in enumerate(map(json.loads, file)):
            asked = {"messages": [{"role": "user", "content": [{"text": row["question"]}]}]}
            told = {"output": {"message": {"role": "assistant", "content": [{"text": row["answers"][0]}]}}}
            entry = {"schemaType": "ModelInvocationLog", "requestId": str(number), "modelId": "m"}
            written.write(
                json.dumps(entry | {"input": {"inputBodyJson": asked}, "output": {"outputBodyJson": told}}) + "\n"
            )
    return log


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (dolly, "dolly-en/dolly-summarization.first900.jsonl"),
        (dolly, "jsquad/valid.jsonl"),
        (dialogue, "dialogsum/dev.first400.jsonl"),
        (dialogue, "mts-dialog/train.jsonl"),
        (verse, "hyakunin-isshu/hyakunin.jsonl"),
        (verse, "waka-hachidaishu/waka.jsonl"),
        (feedback, "jsquad/valid.jsonl"),
    ],
)
def test_a_recipe_s_records_pass_preflight_and_lower_the_held_out_loss(
    tmp_path: Path, recipe: Callable[[Sequence[Path]], Iterable[Item]], name: str
) -> None:
    source = TEST_DATA / name
    if not source.exists():
        pytest.skip(f"{source} is not here; set OUTCROP_TEST_DATA")
    if recipe is feedback:
        source = log_of_answers(source, tmp_path)
    run = RecipeRun(recipe=recipe.__name__, rule="", sources=[source])
    write(run, within(recipe([source]), most_characters=450), tmp_path / "out", split=FEW)
    train, validation = tmp_path / "out/train.jsonl", tmp_path / "out/validation.jsonl"

    starter = Catalog(tmp_path / "home").usable("outcrop.starter-v1")
    assert starter.folder is not None
    report = preflight.examine(
        [train, validation],
        tokenizer=Tokenizer.open(starter.folder),
        context_length=starter.context_length,
        customization="FINE_TUNING",
    )
    assert report.problems == ()
    assert [(file.num_records, file.duplicates, file.overlap) for file in report.files] == [(16, (), ()), (6, (), ())]

    task = TrainingTask(
        base_dir=starter.folder,
        base_name="starter",
        parent_adapter=None,
        train=train,
        validators=(validation,),
        customization="FINE_TUNING",
        hyper=QUICK,
        run_dir=tmp_path / "run",
        output_dir=tmp_path / "trained",
    )
    (held_out,) = finetune.train(task, Hooks()).validators
    assert held_out.custom.loss < held_out.base.loss
