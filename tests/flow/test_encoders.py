"""Embeddings and reranking through a whole installation, told to boto3 in the words of AWS."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.servers import Installed, installed
from tests.support.tiny_encoders import WIDTH, tiny_encoder, tiny_reranker

STARTER, TITAN, COHERE, RERANK = (
    "outcrop.starter-v1", "amazon.titan-embed-text-v2:0", "cohere.embed-english-v3", "amazon.rerank-v1:0",
)  # fmt: skip
TEXTS = ["the old house by the river", "who built the bridge ?", "the sea"]
ALIKE = "This action doesn't support the model that you provided. Try again with a supported text or chat model."


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("encoders") / "home"
    home.mkdir()
    catalog = Catalog(home)
    vectors, ranks = tiny_encoder(home / "vectors"), tiny_reranker(home / "ranks")
    for folder, task in ((vectors, ModelTask.EMBEDDING), (ranks, ModelTask.RERANKING)):
        catalog.register(
            folder,
            model_id=f"local.{folder.name}",
            name=folder.name,
            context_length=64,
            licence="none",
            task=task,
            verdict=ProbeVerdict(way=RunMode.PADDED, config=facts.digest(folder)),
        )
    for alias, model in ((TITAN, "local.vectors"), (COHERE, "local.vectors"), (RERANK, "local.ranks")):
        catalog.alias(alias, model)
    with installed(home) as installation:
        yield installation


def invoked(house: Installed, model: str, **body: Any) -> dict[str, Any]:
    answer = house.client("bedrock-runtime").invoke_model(modelId=model, body=json.dumps(body))
    found: dict[str, Any] = json.loads(answer["body"].read())
    return found


def refused(house: Installed, operation: str, **params: Any) -> str:
    with pytest.raises(ClientError) as error:
        getattr(house.client("bedrock-runtime"), operation)(**params)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    return str(error.value.response["Error"]["Message"])


def test_a_vector_is_the_same_in_every_body_and_batch(house: Installed) -> None:
    cohere = invoked(house, COHERE, texts=TEXTS, input_type="search_document")
    for text, vector in zip(TEXTS, cohere["embeddings"], strict=True):
        titan = invoked(house, TITAN, inputText=text)
        assert len(titan["embedding"]) == WIDTH
        assert math.dist(titan["embedding"], vector) < 1e-5
        assert math.dist(invoked(house, "local.vectors", inputText=text)["embedding"], vector) < 1e-5


def test_a_width_that_the_model_has_not_is_refused_in_a_sentence(house: Installed) -> None:
    said = refused(house, "invoke_model", modelId=TITAN, body=json.dumps({"inputText": "the sea", "dimensions": 256}))
    assert said.startswith(f"dimensions: 256 are asked for, and the model behind {TITAN} makes vectors of {WIDTH}.")


def test_documents_are_reranked_by_both_ways_alike(house: Installed) -> None:
    config = {"modelConfiguration": {"modelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{RERANK}"}}
    pages = (
        house.client("bedrock-agent-runtime")
        .get_paginator("rerank")
        .paginate(
            queries=[{"type": "TEXT", "textQuery": {"text": "who built the bridge ?"}}],
            sources=[
                {"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": text}}}
                for text in TEXTS
            ],
            rerankingConfiguration={"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": config},
        )
    )
    ranked = [(one["index"], one["relevanceScore"]) for page in pages for one in page["results"]]
    assert sorted(index for index, _ in ranked) == [0, 1, 2]
    assert [score for _, score in ranked] == sorted((score for _, score in ranked), reverse=True)
    native = invoked(house, RERANK, query="who built the bridge ?", documents=TEXTS)["results"]
    assert [one["index"] for one in native] == [index for index, _ in ranked]
    assert [one["relevance_score"] for one in native] == pytest.approx([score for _, score in ranked], abs=1e-6)


def test_no_model_does_the_work_of_another(house: Installed) -> None:
    turn = [{"role": "user", "content": [{"text": "hi"}]}]
    for model in (TITAN, RERANK):
        assert refused(house, "converse", modelId=model, messages=turn) == ALIKE
        assert refused(house, "converse_stream", modelId=model, messages=turn) == ALIKE
        body = json.dumps({"prompt": "hi", "max_gen_len": 4})
        assert refused(house, "invoke_model", modelId=model, body=body).startswith("Malformed input request: #")
        said = refused(house, "invoke_model_with_response_stream", modelId=model, body=body)
        assert said == "The model is unsupported for streaming."
    said = refused(
        house, "invoke_model", modelId=STARTER, body=json.dumps({"texts": ["hi"], "input_type": "clustering"})
    )
    assert said.startswith("Malformed input request: #")
    bedrock = house.client("bedrock")
    with pytest.raises(ClientError, match="does not write text, and is invoked on demand only"):
        bedrock.create_provisioned_model_throughput(modelUnits=1, provisionedModelName="no", modelId=TITAN)


def test_they_are_listed_by_what_comes_out_of_them(house: Installed) -> None:
    bedrock = house.client("bedrock")
    listed = bedrock.list_foundation_models(byOutputModality="EMBEDDING")["modelSummaries"]
    assert {one["modelId"] for one in listed} == {"local.vectors", TITAN, COHERE}
    assert {tuple(one["inferenceTypesSupported"]) for one in listed} == {("ON_DEMAND",)}
    assert not any(one["responseStreamingSupported"] or one["customizationsSupported"] for one in listed)
    reranker = bedrock.get_foundation_model(modelIdentifier=RERANK)["modelDetails"]
    assert reranker["outputModalities"] == ["TEXT"]
