"""The booth for linked verse: its table, its records, and its requests, which AWS takes too."""

import importlib
import io
import itertools
import json
import tarfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.validate import ParamValidator

from tests.support.patience import PATIENCE_S

EXAMPLES = Path(__file__).parents[2] / "examples"
UPPER = "ゆきとけて かわのながれの おとたかく"
LOWER = "やまのさくらの つぼみふくらむ"
ROLE = "arn:aws:iam::123456789012:role/booth"


def part(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """A module of the example; examples are no installed package, so their folder is put on the path."""
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES / "renga" / "lora")
    return importlib.import_module(name)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return part(monkeypatch, "renga.answers")


@pytest.fixture
def verses(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return part(monkeypatch, "verses")


def test_a_table_is_eighty_columns_wide_whatever_was_answered(answers: ModuleType) -> None:
    lowers = {"base": "a" * 200, "lora": LOWER, "oft": "", "larger": "さ" * 60, "remote": "花の色は\n説明です"}
    lines = answers.table(UPPER, lowers).splitlines()
    assert {answers.columns_of(line) for line in lines} == {80}
    assert [line.split()[-1] for line in lines] == ["5-7-5", "-" * 80, "?", "7-7", "–", "60", "?"]
    assert "説明" not in lines[-1]


@pytest.mark.parametrize(
    ("verse", "morae"),
    [
        (UPPER, "5-7-5"),
        (LOWER, "7-7"),
        ("花の色は うつりにけりな", "?-7"),
        ("", "–"),
        ("か\u3099く", "2"),
        ("あ い う え お か", "1-1-1-1-…"),
    ],
)
def test_morae_are_told_by_ku(answers: ModuleType, verse: str, morae: str) -> None:
    assert answers.morae(verse) == morae


def test_a_prompt_is_that_of_the_verses(answers: ModuleType) -> None:
    record = json.loads((EXAMPLES / "renga" / "test.jsonl").read_text("utf-8").splitlines()[0])
    assert answers.prompt_of(answers.upper_of(record["prompt"])) == record["prompt"]


def test_a_choice_is_a_record_of_the_next_training(
    monkeypatch: pytest.MonkeyPatch, verses: ModuleType, tmp_path: Path
) -> None:
    feedback = part(monkeypatch, "renga.feedback")
    lowers = {"base": "I see.", "lora": f"{LOWER}\nそして"}
    record = feedback.record_of(UPPER, lowers, "lora", at=datetime(2026, 11, 29, tzinfo=UTC))
    assert record == {
        "prompt": f"上の句: {UPPER}\n下の句:",
        "completion": f" {LOWER}",
        "chosen": "lora",
        "seven_seven": True,
        "others": {"base": "I see."},
        "at": "2026-11-29T00:00:00+00:00",
    }
    (tmp_path / "choice.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    assert verses.read_records(tmp_path) == [{"prompt": record["prompt"], "completion": record["completion"]}]


def test_a_line_that_is_no_record_is_named(verses: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('\n{"prompt": "a", "completion": null}\n')
    with pytest.raises(ValueError, match=r"^train\.jsonl:2: expected texts as prompt and completion"):
        verses.read_records(tmp_path)


class LetterTokenizer:
    """A tokenizer of letters, which begins a text with 1 and ends it with 2."""

    eos_token_id = 2

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        return {"input_ids": [1] * add_special_tokens + [ord(letter) for letter in text]}


def test_only_the_lower_verse_and_its_end_are_learned(verses: ModuleType) -> None:
    example = verses.example_of(LetterTokenizer(), {"prompt": "ab", "completion": " c"})
    assert example["input_ids"] == [1, ord("a"), ord("b"), ord(" "), ord("c"), 2]
    assert example["labels"] == [-100, -100, -100, ord(" "), ord("c"), 2]


def test_the_outermost_model_of_a_channel_is_taken_out_of_its_archive(verses: ModuleType, tmp_path: Path) -> None:
    channel = tmp_path / "unit-test-oft"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
        for name in ("adapter/adapter_config.json", "config.json"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert (verses.model_folder(channel) / "config.json").is_file()
    with pytest.raises(ValueError, match=r"holds neither a config\.json nor an adapter_config\.json"):
        verses.model_folder(tmp_path / "nothing")


def test_a_job_goes_on_from_the_last_checkpoint_that_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoints = part(monkeypatch, "checkpoints")
    assert checkpoints.last_checkpoint(tmp_path) is None
    files = ("adapter_model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")
    for step, present in ((9, files), (100, files), (200, files[:-1])):
        (tmp_path / f"checkpoint-{step}").mkdir()
        for name in present:
            (tmp_path / f"checkpoint-{step}" / name).touch()
    assert checkpoints.last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-100")


class QuietService:
    """A client of a service that does everything at once; it takes what the service model takes, and notes it."""

    def __init__(self, service: str, told: dict[str, Any]) -> None:
        model = botocore.session.get_session().get_service_model(service)
        self._operations = {xform_name(name): name for name in model.operation_names}
        self._model = model
        self._told = told
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        def call(**params: Any) -> dict[str, Any]:
            operation = self._operations[name]
            problems = ParamValidator().validate(params, self._model.operation_model(operation).input_shape)
            assert not problems.has_errors(), problems.generate_report()
            self.calls.append((operation, params))
            answer = self._told.get(operation, {})
            now: dict[str, Any] = answer.pop(0) if isinstance(answer, list) else answer
            return now

        return call


def booth(monkeypatch: pytest.MonkeyPatch, **services: QuietService) -> Any:
    made = part(monkeypatch, "renga.services").Booth
    names = {"s3", "sagemaker", "runtime", "scaling", "bedrock"}
    given = {name: services.get(name) for name in names}
    words = {name: name for name in ("run", "bucket", "instance", "base", "training_image", "serving_image")}
    return made(**words, **given, role=ROLE, accelerators=0)


def test_a_booth_is_closed_from_the_roof_down(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["run-base", "run-lora"]
    listed = [[{"InferenceComponentName": name} for name in now] for now in (names, ["run-base"], [])]
    sagemaker = QuietService(
        "sagemaker",
        {
            "ListInferenceComponents": [{"InferenceComponents": each} for each in listed],
            "DescribeInferenceComponent": [
                {"Specification": {}},
                {"Specification": {"BaseInferenceComponentName": "run-base"}},
            ],
        },
    )
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/run-base",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling = QuietService("application-autoscaling", {"DescribeScalableTargets": {"ScalableTargets": [target]}})
    part(monkeypatch, "renga.endpoint").close(booth(monkeypatch, sagemaker=sagemaker, scaling=scaling))
    deleted = [(name, params) for name, params in sagemaker.calls if name.startswith("Delete")]
    assert deleted == [
        ("DeleteInferenceComponent", {"InferenceComponentName": "run-lora"}),
        ("DeleteInferenceComponent", {"InferenceComponentName": "run-base"}),
        ("DeleteEndpoint", {"EndpointName": "run"}),
        ("DeleteEndpointConfig", {"EndpointConfigName": "run"}),
    ]
    assert scaling.calls[-1] == ("DeregisterScalableTarget", target)


def test_what_fails_on_the_endpoint_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"DescribeEndpoint": {"EndpointStatus": "InService"}, "ListInferenceComponents": {"InferenceComponents": []}}
    sagemaker = QuietService("sagemaker", told)
    opened = part(monkeypatch, "renga.endpoint").opened(booth(monkeypatch, sagemaker=sagemaker), keep=False)
    with pytest.raises(KeyError), opened:
        raise KeyError
    assert [name for name, _ in sagemaker.calls][-2:] == ["DeleteEndpoint", "DeleteEndpointConfig"]


def test_visitors_failures_are_counted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    visitors = part(monkeypatch, "renga.visitors")
    numbers, enough = itertools.count(), threading.Event()

    def answerer(_upper: str) -> str:
        number = next(numbers)
        if number == 1:
            raise ConnectionError("gone")
        if number == 3:
            enough.set()
        return LOWER

    with visitors.asking(answerer, UPPER, visitors=1) as asked:
        assert enough.wait(PATIENCE_S)
    assert asked.failures == ["gone"]
    assert set(asked.answers) == {LOWER}
