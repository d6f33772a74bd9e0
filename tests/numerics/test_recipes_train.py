"""The output of each recipe is data that a job takes, and learning it lowers the loss of what was held out."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from outcrop.recipes.dialogue import dialogue
from outcrop.recipes.dolly import dolly
from outcrop.recipes.feedback import feedback
from outcrop.recipes.recipe import Item, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.verse import verse
from outcrop.recipes.writing import write
from tests.support.small_tokenizers import TEST_DATA
from tests.support.starter_training import check_that_it_teaches

FEW = PartSizes(train=Share(count=16), validation=Share(count=6))


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
    report = check_that_it_teaches(tmp_path / "out", "FINE_TUNING", tmp_path)
    assert [file.num_records for file in report.files] == [16, 6]
