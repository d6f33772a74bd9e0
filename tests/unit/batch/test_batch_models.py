"""Batch jobs of other models than base models that write: vectors, imported networks, remote ones, limits."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from outcrop import arn as arns
from outcrop.batch.answering import Asking, InvocationType, output_of
from outcrop.batch.model import target_of
from outcrop.batch.record import BatchRecord
from outcrop.catalog.imported_models import engine_of
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.clock import SystemClock
from outcrop.errors import Invalid, Throttled
from outcrop.invocation import invoke
from outcrop.invocation.target import Target
from outcrop.network.run_mode import RunMode
from tests.support.batch_house import BASE, REGION, BatchHouse, asked, batch_house

TITAN, REMOTE = "amazon.titan-embed-text-v2:0", "far.writer-v1"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchHouse]:
    with batch_house(tmp_path_factory.mktemp("batch") / "home") as made:
        yield made


def test_texts_become_vectors_in_the_embedding_models_own_bodies(house: BatchHouse) -> None:
    house.house.catalog.alias(TITAN, BASE)
    house.put(
        "texts/a.jsonl",
        {"recordId": "A", "modelInput": {"inputText": "one", "normalize": False}},
        {"recordId": "B", "modelInput": {"inputText": ""}},
        {"recordId": "C", "modelInput": {"inputText": "one word more", "normalize": False}},
    )
    ended = house.work(job := house.create("texts/", modelId=TITAN))

    first, empty, last = house.output(job, "a.jsonl.out")
    assert (ended.status, ended.document["errorRecordCount"]) == ("Completed", 1)
    assert first["modelOutput"]["embedding"][0] == first["modelOutput"]["inputTextTokenCount"]
    assert last["modelOutput"]["embedding"][0] > first["modelOutput"]["embedding"][0]
    assert empty["error"]["errorCode"] == 400
    tokens = [one["modelOutput"]["inputTextTokenCount"] for one in (first, last)]
    assert (house.manifest(job)["inputTokenCount"], house.manifest(job)["outputTokenCount"]) == (sum(tokens), 0)


def test_a_conversation_with_an_embedding_model_is_refused_at_once(house: BatchHouse) -> None:
    house.house.catalog.alias(TITAN, BASE)
    house.put("talk/a.jsonl", {"modelInput": {"messages": []}})
    with pytest.raises(Invalid, match="doesn't support the model that you provided"):
        house.create("talk/", modelId=TITAN, modelInvocationType="Converse")


def test_a_remote_model_is_refused_by_name(house: BatchHouse) -> None:
    remote = RemoteModel(api=RemoteApi.OPENAI, url="http://127.0.0.1:9/v1", model="writer")
    house.house.catalog.register_remote(REMOTE, remote)
    house.put("far/a.jsonl", asked("one"))
    with pytest.raises(Invalid, match=r"remote models \(far.writer-v1 is one\) is not built in Outcrop yet"):
        house.create("far/", modelId=REMOTE)
    house.house.catalog.withdraw_remote(REMOTE)


def test_a_model_that_became_remote_since_is_refused_too(house: BatchHouse) -> None:
    remote = RemoteModel(api=RemoteApi.OPENAI, url="http://127.0.0.1:9/v1", model="writer")
    house.house.catalog.register_remote(REMOTE, remote)
    with pytest.raises(Invalid, match="Batch inference with remote models"):
        target_of(house.house, arns.foundation_model(REGION, REMOTE))
    house.house.catalog.withdraw_remote(REMOTE)


def test_an_imported_model_is_asked_by_its_own_engine_in_the_background(house: BatchHouse) -> None:
    models, base = house.house.imported_models, house.house.catalog.usable(BASE)
    arn = arns.bedrock(REGION, house.house.account, "imported-model/importedimpo")
    assert base.folder is not None
    models.folder(arn).parent.mkdir(parents=True, exist_ok=True)
    models.folder(arn).symlink_to(base.folder)
    document = {"contextLength": 256, "way": RunMode.PACKED.value, "config": "as-it-is"}
    models.add(model_arn=arn, name="mine", region=REGION, created=house.house.clock.now(), document=document)

    target = target_of(house.house, arn)
    assert isinstance(target, Target)
    assert (target.base_id, target.context_length, target.background) == (engine_of(arn), 256, True)


def test_a_record_waits_as_long_as_a_limit_says(monkeypatch: pytest.MonkeyPatch, house: BatchHouse) -> None:
    told: list[str] = []
    really, waits = invoke.invoke, [0.02, 0.01]

    async def invoked(prepared: invoke.PreparedInvocation, **how: Any) -> invoke.Invoked:
        if waits:
            told.append("throttled")
            raise Throttled("Too many tokens.", retry_after_s=waits.pop(0))
        return await really(prepared, **how)

    async def again() -> None:
        told.append("found again")

    monkeypatch.setattr(invoke, "invoke", invoked)
    target = target_of(house.house, arns.foundation_model(REGION, BASE))
    asking = Asking(form=InvocationType.INVOKE_MODEL, target=lambda: target, again=again, now=SystemClock().now)
    record = BatchRecord(id="A", model_input={"prompt": "one", "max_tokens": 3})
    output = asyncio.run(output_of(record, asking))
    assert output.error is None
    assert told == ["throttled", "found again"] * 2
