"""Whatever the files of a checkpoint hold: it becomes a model whose files can be read, or is refused in a sentence."""

import copy
import hashlib
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.data import fetching
from outcrop.errors import Invalid, MachineTrouble, Refusal
from outcrop.network import parity_file
from outcrop.network.adapters.method import read_adapter
from tests.support.checkpoints import checkpoint, manifest
from tests.support.homes import TINY, with_tiny_models
from tests.support.job_house import BUCKET, REGION, JobHouse

NUMBERS = itertools.count(1)
ODD: list[Any] = [
    None, True, 0, -1, 5, 10**400, 1.5, 1e308, "", "x", "é" * 300, "a\x00b", "../up", "/root", "a/./b", "a//b", "\ud800",
    [], {}, [1], [None], {"": None}, [[[[]]]] * 2, "text", "chat", "0" * 64, float("nan"), float("inf"),
]  # fmt: skip
RAW = [
    b"", b"null", b"[1]", b"{", b"\xff\xfe", b"\xed\xa0\x80", b"[" * 100_000, b'{"a":' * 100_000, b'{"base_id": 1, "base_id": 2}',
    b"NaN", b"9" * 10_000, b"\x00" * 100, b"1e999", b"\xef\xbb\xbf{}",
]  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobHouse]:
    made = JobHouse(with_tiny_models(tmp_path_factory.mktemp("home")))
    yield made
    made.context.store.close()


@pytest.fixture(scope="module")
def files(house: JobHouse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return checkpoint(house.settings.home / "tiny", TINY, tmp_path_factory.mktemp("made"))


def bring(house: JobHouse, files: dict[str, bytes]) -> str | None:
    """The sentence of the refusal; None when a model was made, and whole."""
    number = next(NUMBERS)
    for name, data in files.items():
        house.put(f"in/{number}/{name}", data)
    try:
        model = house.create_custom_model(f"m{number}", f"s3://{BUCKET}/in/{number}")
    except Refusal as refused:
        assert isinstance(refused, Invalid), refused  # noqa: PT017
        assert house.context.models.look(REGION, f"m{number}") is None
        assert str(house.settings.home) not in refused.message  # noqa: PT017
        assert [path.name for path in house.settings.models.iterdir() if path.name.startswith(".")] == []
        refused.message.encode()
        assert len(refused.message) < 2_000  # noqa: PT017
        return refused.message
    folder = house.context.models.folder(model)
    read_adapter(folder)
    assert parity_file.read(folder)
    return None


def with_manifest(files: dict[str, bytes], /, **changed: Any) -> dict[str, bytes]:
    """The files as they are now, under a manifest that names their digests."""
    whole = {**manifest(files, TINY), **changed}
    return {**files, "checkpoint.json": json.dumps(whole).encode()}


def test_a_whole_checkpoint_becomes_a_model(house: JobHouse, files: dict[str, bytes]) -> None:
    assert bring(house, files) is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"base_id": None}, "base_id: expected a text, found null"),
        ({"prompt_format": ["text"]}, "prompt_format: expected a text, found a list"),
        ({"prompt_format": "alpaca"}, "prompt_format: 'alpaca' is none. Choose text, chat, or a text of your own with {prompt}"),
        ({"prompt_day": 3}, "prompt_day: expected a text, found the number 3"),
        ({"prompt_day": "yesterday"}, "prompt_day: is no date and time in ISO form"),
        ({"prompt_day": "2026-11-21T04:00:26"}, "prompt_day: has no time zone"),
        ({"files": []}, "files: expected an object, found a list"),
        ({"files": {"a" * 300: "0" * 64}}, "is longer than 512 bytes, or a part of it longer than 200"),
        ({"files": {"a\x00": "0" * 64}}, "holds control characters or backslashes"),
        ({"files": {"a/../../b": "0" * 64}}, "leads out of the folder, or has an empty part"),
        ({"files": {"a": "0"}}, "is no SHA-256 in 64 hexadecimal digits"),
        ({"files": {"a": "0" * 64, "a/b": "0" * 64}}, "files: 'a' is a file and a folder"),
        ({"files": {"a": "0" * 64}}, "files: config.json, tokenizer.json, parity.json missing"),
        ({"base_id": "nobody.knows-v1"}, "is not in the catalogue"),
    ],
)  # fmt: skip
def test_a_manifest_is_refused_by_its_member(
    house: JobHouse, files: dict[str, bytes], changed: dict[str, Any], told: str
) -> None:
    sentence = bring(house, with_manifest(files, **changed))
    assert sentence is not None
    assert told in sentence


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("parity.json", b"[1]", "parity.json: [0]: expected an object, found the number 1"),
        ("parity.json", b"[]", "parity.json: holds no token to compare"),
        ("parity.json", b'[{"ids": [1], "logprobs": []}]', "parity.json: holds no token to compare"),
        ("parity.json", b'[{"ids": [1, 2], "logprobs": [0, 0]}]', "[0].logprobs: expected 1, one for each of the ids but the first"),
        ("parity.json", b'[{"ids": [1, "2"], "logprobs": [0]}]', "[0].ids[1]: expected a whole number, found \"2\""),
        ("parity.json", b'[{"ids": [1, 2], "logprobs": [NaN]}]', "parity.json: NaN is no JSON value"),
        ("parity.json", b'[{"ids": [1, 2], "logprobs": [1e999]}]', "[0].logprobs[0]: expected a finite number"),
        ("parity.json", json.dumps([{"ids": [1] * 300, "logprobs": [0] * 299}]).encode(), "holds a record of 300 tokens"),
        ("adapter_config.json", b"null", "adapter_config.json: is no JSON object"),
        ("adapter_config.json", b'{"peft_type": "LOHA"}', "peft_type LOHA is not supported"),
        ("adapter_config.json", b'{"peft_type": "LORA", "r": 0, "lora_alpha": 1}', "adapter_config.json: r: the number 0 is not"),
        ("adapter_config.json", b'{"peft_type": "LORA", "r": 5, "lora_alpha": 1}', "does not go with the rank 5"),
        ("adapter_model.safetensors", b"", "adapter_model.safetensors: is no safetensors file, or cut short"),
        ("adapter_model.safetensors", b"\xff" * 8 + b"{}", "adapter_model.safetensors: is no safetensors file"),
        ("lineage.json", b"[]", "lineage.json: is no JSON object"),
        ("tokenizer/deep.json", b"[" * 100_000, "tokenizer/deep.json: is nested too deep"),
    ],
)  # fmt: skip
def test_a_file_is_refused_by_name_and_member(
    house: JobHouse, files: dict[str, bytes], name: str, data: bytes, told: str
) -> None:
    sentence = bring(house, with_manifest({**files, name: data}))
    assert sentence is not None
    assert told in sentence


@given(data=st.data())
@settings(
    max_examples=40,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_the_files_hold(house: JobHouse, files: dict[str, bytes], data: st.DataObject) -> None:
    """The manifest agrees with the files, except where it is itself what is changed."""
    name = data.draw(st.sampled_from(sorted(files)))
    changed = {**files, name: _changed(files[name], data)}
    bring(house, changed if name == "checkpoint.json" else with_manifest(changed))


def _changed(content: bytes, data: st.DataObject) -> bytes:
    how = data.draw(st.sampled_from(["raw", "cut", "bytes", "value", "value", "value"]))
    if how == "raw":
        return data.draw(st.sampled_from(RAW))
    if how == "cut":
        return content[: data.draw(st.integers(0, len(content)))]
    if how == "bytes" or not content.startswith((b"{", b"[")):
        place = data.draw(st.integers(0, min(len(content), 600) - 1))
        return content[:place] + data.draw(st.binary(min_size=1, max_size=3)) + content[place + 1 :]
    value = copy.deepcopy(json.loads(content))
    places = [(value, key) for key in _keys(value)]
    places += [(value[key], inner) for key in _keys(value) for inner in _keys(value[key])]
    holder, key = data.draw(st.sampled_from(places))
    odd = data.draw(st.sampled_from(ODD))
    if isinstance(holder, dict) and isinstance(odd, str) and data.draw(st.booleans()):
        holder[odd] = holder.pop(key)
    else:
        holder[key] = odd
    return json.dumps(value).encode()


def _keys(value: Any) -> list[Any]:
    return (
        list(value) if isinstance(value, dict) else list(range(min(len(value), 3))) if isinstance(value, list) else []
    )


def test_of_two_imports_of_one_name_one_is_made(house: JobHouse, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        house.put(f"twice/{name}", data)

    def bring_one(_number: int) -> str | None:
        try:
            return house.create_custom_model("俳句", f"s3://{BUCKET}/twice")
        except Invalid as refused:
            assert "is currently in use" in refused.message  # noqa: PT017
            return None

    with ThreadPoolExecutor(4) as pool:
        made = [arn for arn in pool.map(bring_one, range(4)) if arn is not None]
    assert len(made) == 1
    kept = {path.name for path in house.settings.models.iterdir()}
    rows = {row.arn.rsplit("/", 1)[-1] for row in house.context.store.resources.all("custom-model")}
    assert kept == rows


def test_an_import_for_which_there_is_no_room_leaves_nothing(
    house: JobHouse, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, data in files.items():
        house.put(f"full/{name}", data)
    before = sorted(house.settings.models.iterdir())

    def full(_buckets: object, _record: object, _file: Path) -> None:
        with Path("/dev/full").open("wb", buffering=0) as file:
            file.write(b"x")

    monkeypatch.setattr(fetching, "copy", full)
    with pytest.raises(MachineTrouble, match=r"cannot be copied here \(No space left on device\)\. Nothing was made"):
        house.create_custom_model("no-room", f"s3://{BUCKET}/full")
    assert sorted(house.settings.models.iterdir()) == before
    assert house.context.models.look(REGION, "no-room") is None


def test_digests_are_what_they_are_said_to_be(house: JobHouse, files: dict[str, bytes]) -> None:
    other = {**files, "parity.json": files["parity.json"] + b" "}
    sentence = bring(house, other)
    assert sentence is not None
    assert "its SHA-256 differs" in sentence
    assert hashlib.sha256(files["parity.json"]).hexdigest() in files["checkpoint.json"].decode()
