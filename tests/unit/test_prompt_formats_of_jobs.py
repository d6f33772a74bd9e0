"""The form in which a job learns its prompts is decided once and kept: with its model, its checkpoints, its children."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.clock import SystemClock
from outcrop.errors import Invalid
from outcrop.network import facts
from outcrop.network.run_mode import ProbeVerdict, RunMode
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.homes import with_tiny_models
from tests.support.job_house import BUCKET, REGION, JobHouse
from tests.support.tiny import CHAT_TEMPLATE, CONTEXT_LENGTH, tiny_model

CHATTY = "local.chatty-v1"
DAY = datetime(1999, 12, 31, 12, tzinfo=UTC)
DATED = "{{ 'Today is ' + strftime_now('%d %b %Y') + '.' }}" + CHAT_TEMPLATE
TURNS = [{"role": "user", "content": "what?"}, {"role": "assistant", "content": "that"}]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = with_tiny_models(tmp_path_factory.mktemp("home"))
    folder = tiny_model(made / "chatty", chat=True)
    (folder / "chat_template.jinja").write_text(DATED)
    verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(folder))
    Catalog(made).register(
        folder, model_id=CHATTY, name="Chatty", context_length=CONTEXT_LENGTH, licence="none", verdict=verdict
    )
    return made


@pytest.fixture
def house(home: Path) -> Iterator[JobHouse]:
    opened = JobHouse(home)
    yield opened
    opened.context.store.close()


def trained(house: JobHouse, name: str, *, base: str = CHATTY, asked: str | None = None) -> dict[str, Any]:
    """The document of a custom model."""
    more = {"epochCount": "1"} | ({} if asked is None else {"outcrop.promptFormat": asked})
    job = house.create(name, base=base, validate=False, more=more)
    assert house.work(job)
    assert house.context.jobs.get(job).status == "Completed", house.context.jobs.get(job).document
    return dict(house.context.models.find(REGION, name).document)


def learned(house: JobHouse, name: str) -> str:
    """The text of a record as the trainer saw it."""
    folder = house.context.models.folder(house.context.models.find(REGION, name).arn)
    ids = json.loads((folder / "parity.json").read_text())["samples"][0]["ids"]
    base = house.context.catalog.usable(CHATTY).folder
    assert base is not None
    tokenizer = Tokenizer.open(base)
    return "".join(
        (tokenizer.token(one) or "") if one in tokenizer.special_ids else tokenizer.decode([one]) for one in ids
    )


@pytest.mark.parametrize(
    ("asked", "kept", "begins"),
    [
        (None, "chat", "Today is 31 Dec 1999.<s><|user|>\nQuestion 0: what is 0?\n<|assistant|>\n It is 0.</s>"),
        ("text", "text", "<s>Question 0: what is 0? It is 0.</s>"),
        ("Q: {prompt}\nA:", "Q: {prompt}\nA:", "<s>Q: Question 0: what is 0?\nA: It is 0.</s>"),
    ],
)
def test_prompts_are_learned_in_the_form_that_is_kept(
    asked: str | None, kept: str, begins: str, house: JobHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"m{abs(hash(asked))}"
    with monkeypatch.context() as then:  # the job is created on another day than it is trained on
        then.setattr(SystemClock, "now", lambda _self: DAY)
        more = {"epochCount": "1"} | ({} if asked is None else {"outcrop.promptFormat": asked})
        job = house.create(name, base=CHATTY, validate=False, more=more)
    assert house.work(job)
    model = house.context.models.find(REGION, name)
    assert (model.document["promptFormat"], model.document["promptDay"]) == (kept, DAY.isoformat())
    lineage = json.loads((house.context.models.folder(model.arn) / "lineage.json").read_text())
    assert (lineage["prompt_format"], lineage["prompt_day"]) == (kept, DAY.isoformat())
    assert learned(house, name).startswith(begins)


def test_checkpoints_and_custom_models_that_are_trained_further_keep_the_form_and_the_day(house: JobHouse) -> None:
    parent = trained(house, "parent", asked="Q: {prompt}\nA:")
    job = parent["jobArn"]
    manifest = next(key for key in house.keys(job) if key.endswith("checkpoint.json"))
    house.create_custom_model("copy", f"s3://{BUCKET}/{house.folder(job)}/{manifest.removesuffix('/checkpoint.json')}")
    copy = house.context.models.find(REGION, "copy").document
    child = trained(house, "child", base="copy")
    for kept in (copy, child):
        assert (kept["promptFormat"], kept["promptDay"]) == (parent["promptFormat"], parent["promptDay"])


def test_conversations_make_a_model_of_conversations(house: JobHouse) -> None:
    house.put("train.jsonl", "\n".join([json.dumps({"messages": TURNS})] * 3).encode())
    try:
        assert trained(house, "talks")["promptFormat"] == "chat"
        job = house.create("refused", base=CHATTY, validate=False, more={"outcrop.promptFormat": "text"})
        assert house.work(job)
        assert house.context.jobs.get(job).document["failureMessage"] == (
            "hyperParameters.outcrop.promptFormat: train.jsonl holds conversations, which are learned as chat; 'text' "
            "is for prompts with completions. Leave it out, or give the records a prompt and a completion."
        )
    finally:
        house.put("train.jsonl", b'{"prompt": "Question 0: what is 0?", "completion": " It is 0."}\n' * 4)


@pytest.mark.parametrize("asked", ["texts", "", "no place", "{prompt} {prompt}", "{system}{system}{prompt}"])
def test_what_is_no_form_is_refused_at_creation(asked: str, house: JobHouse) -> None:
    with pytest.raises(Invalid, match=r"^hyperParameters\.outcrop\.promptFormat: .* is none\. Choose text, chat, or"):
        house.create("never", base=CHATTY, more={"outcrop.promptFormat": asked})
