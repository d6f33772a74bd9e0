"""The handlers that ask an embedding model or a reranker, from a call to what the door sends."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from outcrop.access.caller import Caller
from outcrop.access.needs.named import Named
from outcrop.api.bedrock import reranking, runtime
from outcrop.api.door.call import Answer, Call, Handler, Usage
from outcrop.errors import Invalid
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask
from outcrop.protocol import service_model
from tests.support.encoder_target import encoding
from tests.support.patience import PATIENCE_S
from tests.support.recorded_members import Recorded

ADA = Caller(arn="arn:aws:iam::123456789012:user/ada", account="123456789012", user_id="AIDA", key_id="AKIA")
ARN = "arn:aws:bedrock:us-east-1::foundation-model/amazon.rerank-v1:0"


@dataclass(frozen=True)
class OneModel:
    """The rooms of a house with one model, which `is_known` by its name or is not."""

    target: EncoderTarget
    is_known: bool = True

    @property
    def targets(self) -> "OneModel":
        return self

    @property
    def access(self) -> "OneModel":
        return self

    def find(self, _model_id: str, _thing: Named, _row: None, *, caller: Caller) -> EncoderTarget:
        assert caller is ADA
        return self.target

    def named(self, _call: Call, _member: str) -> Named:
        return Named(kind="foundation-model", arn=ARN, is_known=self.is_known)

    def row(self, _call: Call, _member: str) -> None:
        return None


def called(
    folder: Path, handler: Handler, params: dict[str, Any], task: ModelTask, *, is_known: bool = True, **changes: Any
) -> tuple[Any, Usage]:
    """What a handler answers, and the tokens that it told."""

    async def whole() -> tuple[Any, Usage]:
        async with encoding(folder, task, **changes) as (target, _):
            call = Call(
                service="bedrock", operation="Rerank", params=params, caller=ADA, region="us-east-1", request_id="r",
                headers={},
            )  # fmt: skip
            house: Any = OneModel(target, is_known)
            return await cast(Any, handler)(house, call), call.usage

    return asyncio.run(asyncio.wait_for(whole(), PATIENCE_S))


def reranked(*texts: str, wanted: int | None = None, **more: Any) -> dict[str, Any]:
    """A request of Rerank, its documents plain texts."""
    config: dict[str, Any] = {"modelConfiguration": {"modelArn": ARN}}
    config |= {} if wanted is None else {"numberOfResults": wanted}
    return {
        "queries": [{"type": "TEXT", "textQuery": {"text": "who wrote"}}],
        "sources": [source(textDocument={"text": text}) for text in texts],
        "rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": config},
        **more,
    }


def source(kind: str = "TEXT", **document: Any) -> dict[str, Any]:
    return {"type": "INLINE", "inlineDocumentSource": {"type": kind, **document}}


def rerank(folder: Path, params: dict[str, Any], **changes: Any) -> Any:
    return called(folder, reranking.rerank, params, ModelTask.RERANKING, **{"max_length": 16, **changes})[0]


def test_an_embedding_is_answered_with_its_tokens_in_the_headers(tmp_path: Path) -> None:
    params = {"modelId": "m", "body": b'{"inputText": "the river"}'}
    answer, usage = called(tmp_path, runtime.invoke_model, params, ModelTask.EMBEDDING)
    assert isinstance(answer, Answer)
    assert len(json.loads(answer.members["body"])["embedding"]) == 4
    headers = dict(answer.headers)
    assert int(headers.pop("x-amzn-bedrock-invocation-latency")) >= 0
    assert headers == {"x-amzn-bedrock-input-token-count": "4", "x-amzn-bedrock-output-token-count": "0"}
    assert usage == Usage(input_tokens=4, output_tokens=0)


def test_a_text_model_that_stands_in_is_told_of_with_every_answer(tmp_path: Path) -> None:
    params = {"modelId": "m", "body": b'{"inputText": "the river"}'}
    answer, _ = called(tmp_path, runtime.invoke_model, params, ModelTask.EMBEDDING, stands_in=True)
    assert answer.headers["x-outcrop-embedding"] == "mean hidden states of a text model"


@pytest.mark.parametrize("task", [ModelTask.EMBEDDING, ModelTask.RERANKING])
def test_neither_is_streamed(tmp_path: Path, task: ModelTask) -> None:
    with pytest.raises(Invalid, match=r"^The model is unsupported for streaming\.$"):
        called(tmp_path, runtime.invoke_model_with_response_stream, {"modelId": "m", "body": b"{}"}, task)


def test_no_tokens_are_counted_for_it(tmp_path: Path) -> None:
    params = {"modelId": "m", "input": {"invokeModel": {"body": b"{}"}}}
    with pytest.raises(Invalid, match=r"^The provided model doesn't support counting tokens\.$"):
        called(tmp_path, runtime.count, params, ModelTask.EMBEDDING)


def test_a_guardrail_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    params = {"modelId": "m", "body": b"{}", "guardrailIdentifier": "g"}
    with pytest.raises(Invalid, match=r"guardrailIdentifier: a guardrail cannot be applied here"):
        called(tmp_path, runtime.invoke_model, params, ModelTask.EMBEDDING)


def test_documents_are_reranked_the_most_relevant_first(tmp_path: Path) -> None:
    params = reranked("one two three", "one", wanted=2)
    assert rerank(tmp_path, params) == {
        "results": [{"index": 1, "relevanceScore": 0.5**6}, {"index": 0, "relevanceScore": 0.5**8}],
        "nextToken": None,
    }


def test_a_json_document_is_read_as_it_is_written(tmp_path: Path) -> None:
    params = reranked("one")
    params["sources"].append(source("JSON", jsonDocument={"title": "the river"}))
    found = rerank(tmp_path, params, max_length=32)
    assert [one["index"] for one in found["results"]] == [0, 1]


def test_as_many_as_are_wanted_come_at_once_and_else_pages(tmp_path: Path) -> None:
    texts = ["one"] * 230
    assert len(rerank(tmp_path, reranked(*texts, wanted=150))["results"]) == 150
    found, more = list[int](), dict[str, Any]()
    for _ in range(3):
        page = rerank(tmp_path, {**reranked(*texts), **more})
        found += [one["index"] for one in page["results"]]
        more = {"nextToken": page["nextToken"]}
    assert (found, more) == (list(range(230)), {"nextToken": None})


def test_a_token_of_another_query_is_refused(tmp_path: Path) -> None:
    token = rerank(tmp_path, reranked(*["one"] * 101))["nextToken"]
    with pytest.raises(Invalid, match="nextToken: not a token of this query"):
        rerank(tmp_path, reranked(*["two"] * 101, nextToken=token))


def test_documents_are_cut_where_the_model_is_told_to(tmp_path: Path) -> None:
    long = "one two three four five six seven eight one two three four five six"
    params = reranked(long)
    with pytest.raises(Invalid, match="Input is too long for requested model"):
        rerank(tmp_path, params)
    config = params["rerankingConfiguration"]["bedrockRerankingConfiguration"]["modelConfiguration"]
    config["additionalModelRequestFields"] = {"max_tokens_per_doc": 2}
    assert rerank(tmp_path, params)["results"] == [{"index": 0, "relevanceScore": 0.5**7}]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"queries": [{"type": "TEXT", "textQuery": {}}]}, "queries.0.textQuery.text: missing."),
        ({"sources": [source()]}, "sources.0.inlineDocumentSource.textDocument.text: missing, where type is TEXT."),
        ({"sources": [source("JSON")]}, "sources.0.inlineDocumentSource.jsonDocument: missing, where type is JSON."),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        rerank(tmp_path, {**reranked("one"), **change})
    assert str(refused.value).startswith(sentence)


@pytest.mark.parametrize("fields", [{"top_n": 1}, {"max_tokens_per_doc": 0}, {"max_tokens_per_doc": "1"}])
def test_a_field_that_is_not_understood_is_refused_by_name(tmp_path: Path, fields: dict[str, Any]) -> None:
    params = reranked("one")
    config = params["rerankingConfiguration"]["bedrockRerankingConfiguration"]["modelConfiguration"]
    config["additionalModelRequestFields"] = fields
    with pytest.raises(Invalid, match=f"additionalModelRequestFields.{next(iter(fields))}: "):
        rerank(tmp_path, params)


def test_a_model_that_does_not_rank_is_refused_in_bedrocks_words(tmp_path: Path) -> None:
    words = "The provided model ARN for reranking is invalid. Please, use a valid model ARN."
    with pytest.raises(Invalid, match=words):
        rerank(tmp_path, reranked("one"), is_known=False)
    with pytest.raises(Invalid, match=rf"{words}.*is no reranking model"):
        called(tmp_path, reranking.rerank, reranked("one"), ModelTask.EMBEDDING)


def test_no_member_of_rerank_is_dropped_in_silence(tmp_path: Path) -> None:
    seen: set[str] = set()
    params = reranked("one", wanted=1)
    params["sources"].append(source("JSON", jsonDocument={"a": "one"}))
    rerank(tmp_path, Recorded(params, seen), max_length=32)
    shape = service_model.operation("bedrock-agent-runtime", "Rerank").input_shape
    assert shape is not None
    assert set(shape.members) <= seen
