"""Questions to knowledge bases: a Deny on what they use holds however the request spells it."""

import json
from typing import Any

import pytest

from outcrop.access.needs.actions import needs
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission
from outcrop.catalog.catalog import Catalog

REGION, ACCOUNT, BASE, ALIAS = "us-east-1", "123456789012", "outcrop.starter-v1", "amazon.titan-text-lite-v1"
FOUNDATION = f"arn:aws:bedrock:{REGION}::foundation-model/"
KNOWLEDGE_BASE = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:knowledge-base/KB00000001"
GENERATING = ("RetrieveAndGenerate", "RetrieveAndGenerateStream")


@pytest.fixture
def catalog(tmp_path: Any) -> Catalog:
    found = Catalog(tmp_path)
    found.alias(ALIAS, BASE)
    return found


def needed(catalog: Catalog, operation: str, **params: Any) -> dict[str, RequiredPermission]:
    """The permissions by action and resource."""
    asked = RequestedOperation(
        service="bedrock-agent-runtime",
        operation=operation,
        params=params,
        region=REGION,
        account=ACCOUNT,
        find=lambda _kind, _name: None,
        foundation=catalog.find,
    )
    return {f"{each.action} {each.resource}": each for each in needs(asked)}


def about_base(model: str, **retrieval: Any) -> dict[str, Any]:
    own = {"knowledgeBaseId": "KB00000001", "modelArn": model, **retrieval}
    return {"retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": own}}


def reranking(model: str) -> dict[str, Any]:
    config = {"bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": model}}}
    return {"retrievalConfiguration": {"vectorSearchConfiguration": {"rerankingConfiguration": config}}}


@pytest.mark.parametrize("operation", GENERATING)
@pytest.mark.parametrize("spelling", [ALIAS, f"{ALIAS}:0:4k", f"{FOUNDATION}{ALIAS}", f"{FOUNDATION}{ALIAS}:0"])
def test_an_answer_needs_the_model_under_each_of_its_names(catalog: Catalog, operation: str, spelling: str) -> None:
    found = needed(catalog, operation, **about_base(spelling))
    assert found.keys() == {
        "bedrock:RetrieveAndGenerate *",
        f"bedrock:Retrieve {KNOWLEDGE_BASE}",
        f"bedrock:InvokeModel {FOUNDATION}{ALIAS}",
    }
    model = found[f"bedrock:InvokeModel {FOUNDATION}{ALIAS}"]
    assert f"{FOUNDATION}{BASE}" in model.behind
    assert model.context == {"outcrop:Remote": "false"}


def test_a_profile_is_needed_beside_the_model_in_it(catalog: Catalog) -> None:
    found = needed(catalog, GENERATING[0], **about_base(f"us.{ALIAS}"))
    profile = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:inference-profile/us.{ALIAS}"
    assert {f"bedrock:InvokeModel {profile}", f"bedrock:InvokeModel {FOUNDATION}{ALIAS}"} <= found.keys()
    assert found[f"bedrock:InvokeModel {FOUNDATION}{ALIAS}"].context["bedrock:InferenceProfileArn"] == profile


def test_a_reranker_is_needed_where_one_is_named(catalog: Catalog) -> None:
    model = f"{FOUNDATION}amazon.rerank-v1:0"
    both = {"bedrock:Rerank *", f"bedrock:InvokeModel {model}"}
    assert both <= needed(catalog, "Retrieve", knowledgeBaseId="KB00000001", **reranking(model)).keys()
    assert both <= needed(catalog, GENERATING[0], **about_base(ALIAS, **reranking(model))).keys()
    alone = needed(catalog, "Retrieve", knowledgeBaseId="KB00000001")
    assert alone.keys() == {f"bedrock:Retrieve {KNOWLEDGE_BASE}"}


def test_an_object_is_needed_as_it_is_named_and_no_knowledge_base(catalog: Catalog) -> None:
    sources = [{"sourceType": "S3", "s3Location": {"uri": "s3://papers/in/a b.txt"}}]
    own = {"modelArn": ALIAS, "sources": sources}
    config = {"type": "EXTERNAL_SOURCES", "externalSourcesConfiguration": own}
    found = needed(catalog, GENERATING[0], retrieveAndGenerateConfiguration=config)
    assert found.keys() == {
        "bedrock:RetrieveAndGenerate *",
        "s3:GetObject arn:aws:s3:::papers/in/a b.txt",
        f"bedrock:InvokeModel {FOUNDATION}{ALIAS}",
    }


def test_a_request_without_a_configuration_needs_the_act_alone(catalog: Catalog) -> None:
    assert needed(catalog, GENERATING[0], input={"text": json.dumps("hi")}).keys() == {"bedrock:RetrieveAndGenerate *"}
