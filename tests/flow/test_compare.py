"""`outcrop compare` on a whole installation: what it says of a tuned model is what the job measured, and can be no."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.cli.app import run
from tests.support.homes import TINY, with_tiny_models
from tests.support.patience import eventually
from tests.support.servers import Installed, installed

Ran = Callable[..., tuple[int, str, str]]
COLOURS = ("red", "blue", "green", "white")


def record(number: int) -> dict[str, str]:
    """A question of which a tiny network learns the form of the answer at least."""
    return {"prompt": f"Item {number}: which?", "completion": f" It is {COLOURS[number % 4]}."}


LEARNED, TESTED = [record(number) for number in range(60)], [record(number) for number in range(100, 120)]


def lines(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in records)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    with installed(with_tiny_models(tmp_path_factory.mktemp("home"))) as running:
        yield running


@pytest.fixture(scope="module")
def held_out(house: Installed) -> Any:
    """What the job that made the model `tuned` measured on the test records."""
    s3, bedrock = house.client("s3"), house.client("bedrock")
    s3.create_bucket(Bucket="items")
    s3.put_object(Bucket="items", Key="train.jsonl", Body=lines(LEARNED).encode())
    s3.put_object(Bucket="items", Key="test.jsonl", Body=lines(TESTED).encode())
    job = bedrock.create_model_customization_job(
        jobName="tuned",
        customModelName="tuned",
        roleArn=house.role,
        baseModelIdentifier=TINY,
        trainingDataConfig={"s3Uri": "s3://items/train.jsonl"},
        validationDataConfig={"validators": [{"s3Uri": "s3://items/test.jsonl"}]},
        outputDataConfig={"s3Uri": "s3://items/out"},
        hyperParameters={"epochCount": "5", "batchSize": "8", "outcrop.learningRate": "0.01"},
    )["jobArn"]
    told = eventually(
        lambda: (
            found
            if (found := bedrock.get_model_customization_job(jobIdentifier=job))["status"] != "InProgress"
            else None
        )
    )
    assert told["status"] == "Completed", told
    key = f"out/model-customization-job-{job.rsplit('/', 1)[-1]}/validation_artifacts/held_out.json"
    (found,) = json.loads(s3.get_object(Bucket="items", Key=key)["Body"].read())
    return found


@pytest.fixture
def ran(house: Installed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The exit code of a command, and what it said on standard output and error."""
    monkeypatch.setenv("OUTCROP_HOME", str(house.settings.home))

    def ask(*words: str) -> tuple[int, str, str]:
        code = run(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def test_a_tuned_model_is_compared_with_its_base(house: Installed, held_out: Any, tmp_path: Path, ran: Ran) -> None:
    # Given a custom model that nobody has deployed, the test records, and texts that have nothing to do with them
    data, general, page = tmp_path / "test.jsonl", tmp_path / "general.jsonl", tmp_path / "report.html"
    data.write_text(lines(TESTED))
    general.write_text(
        "".join(json.dumps({"input": f"The sea is wide, {number} miles."}) + "\n" for number in range(8))
    )
    asked = ["compare", TINY, "tuned", "--data", str(data), "--general", str(general), "--max-tokens", "12"]
    # When the two are compared
    code, said, _ = ran(*asked, "--json", "--html", str(page))
    assert code == 0
    told = json.loads(said)
    loss = next(each for each in told["measures"] if each["name"] == "loss")
    # Then their losses are what the trainer measured on the same records, in nats and bits
    for name, of in ((TINY, "base"), ("tuned", "custom")):
        assert loss["means"][name]["mean"] == pytest.approx(held_out[of]["loss"], abs=2e-4)
        bits = next(each for each in told["measures"] if each["name"] == "bits_per_byte")["means"][name]["mean"]
        assert bits == pytest.approx(held_out[of]["bits_per_byte"], abs=2e-4)
    # and the tuned one is better, by an interval, not by chance
    (difference,) = loss["differences"]
    assert (difference["verdict"], difference["high"] < 0, difference["records"]) == ("better", True, len(TESTED))
    # and none of the records was learned from
    (learned,) = told["contamination"]["learned"]
    assert (learned["num_records"], learned["found"]) == (len(LEARNED), [])
    assert told["general"]["texts"] == 8
    assert all(each["mean"] > 0 for each in told["general"]["means"].values())
    assert told["costs"]["tuned"]["num_asked"] == 2 * len(TESTED)
    assert "Clean." in page.read_text("utf-8")
    # When it is run again, nothing is asked, and the text tells the same
    code, said, _ = ran(*asked)
    assert code == 0
    assert f"0, {2 * len(TESTED)} kept" in said
    assert max(map(len, said.splitlines())) <= 80
    assert any(line.endswith("better") for line in said.splitlines())


def test_test_records_that_were_learned_are_told(house: Installed, held_out: Any, tmp_path: Path, ran: Ran) -> None:
    data = tmp_path / "test.jsonl"
    data.write_text(lines([TESTED[0], LEARNED[7], TESTED[1]]))
    code, said, _ = ran("compare", "tuned", "--data", str(data), "--scores", "loss", "--json")
    assert code == 0
    (learned,) = json.loads(said)["contamination"]["learned"]
    assert learned["found"] == [{"id": "test.jsonl:2", "likeness": 1.0, "where": "train.jsonl:8"}]


def test_a_knowledge_base_is_compared_too(house: Installed, tmp_path: Path, ran: Ran) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "1.md").write_text("# Tickets\n\nOrder tickets are kept for six years.\n")
    (folder / "2.md").write_text("# Fees\n\nThe fee for an application is nine dollars.\n")
    assert ran("knowledge", "add", "rules", str(folder))[0] == 0
    data = tmp_path / "test.jsonl"
    data.write_text(
        lines([{"prompt": "How long are order tickets kept?", "referenceResponse": "six years"}])
        + lines([{"prompt": "What is the fee for an application?", "referenceResponse": "nine dollars"}])
    )
    asked = ["compare", TINY, "kb:rules", "--data", str(data), "--scores", "contains", "--max-tokens", "8", "--json"]
    code, said, _ = ran(*asked)
    assert code == 0
    (contains,) = json.loads(said)["measures"]
    assert contains["means"]["kb:rules"]["mean"] == 1.0
    assert contains["means"][TINY]["mean"] == 0.0
    # two records are too few to call it better
    assert contains["differences"][0]["verdict"] == "not significant"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nobody"], "nobody: there is no such model."),
        ([TINY, TINY], f"{TINY}: named twice."),
        ([], "No model is named."),
        ([TINY, "--scores", "beauty"], "'beauty' is no score."),
        ([TINY, "--seeds", "3"], "at temperature 0 all of them are the same"),
        (["kb:none"], "kb:none: there is no such knowledge base."),
    ],
)
def test_what_is_asked_wrongly_ends_with_2_and_a_sentence(
    words: list[str], said: str, house: Installed, tmp_path: Path, ran: Ran
) -> None:
    data = tmp_path / "test.jsonl"
    data.write_text(lines(TESTED[:1]))
    code, _, error = ran("compare", *words, "--data", str(data))
    assert (code, said in error) == (2, True), error
