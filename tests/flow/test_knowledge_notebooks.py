"""What public notebooks on knowledge bases do, against a whole installation: real encoder, reranker, worker and model.

Written from the calls of the notebooks for zero setup, managed answers, Retrieve with Converse, metadata filters, reranking,
streams and documents of one's own. What the small model says is not judged; how the answer hangs together is.
"""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.model_task import ModelTask
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.minilm import minilm
from tests.support.patience import eventually
from tests.support.rule_book import RULES
from tests.support.servers import Installed, installed
from tests.support.tiny_encoders import tiny_reranker

TITAN, CLAUDE, RERANK = "amazon.titan-embed-text-v2:0", "anthropic.claude-3-haiku-20240307-v1:0", "amazon.rerank-v1:0"
PREFIX = "arn:aws:bedrock:us-east-1::foundation-model/"
BUCKET = "exchange-rules"
GENERATIVE = {"additionalModelRequestFields": {"outcrop_answering": "generative"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("notebooks") / "home"
    home.mkdir()
    catalog = Catalog(home)
    folders = (
        (minilm(home / "minilm"), ModelTask.EMBEDDING, 256),
        (tiny_reranker(home / "ranks"), ModelTask.RERANKING, 64),
    )
    for folder, task, length in folders:
        verdict = ProbeVerdict(way=RunMode.PADDED, config=facts.digest(folder))
        catalog.register(
            folder,
            model_id=f"local.{folder.name}",
            name=folder.name,
            context_length=length,
            licence="none",
            task=task,
            verdict=verdict,
        )
    for alias, model in ((TITAN, "local.minilm"), (RERANK, "local.ranks"), (CLAUDE, "outcrop.starter-v1")):
        catalog.alias(alias, model)
    with installed(home) as installation:
        yield installation


@pytest.fixture(scope="module")
def base(house: Installed) -> str:
    """The id of a knowledge base whose documents were ingested: zero setup, with a store that is made for it."""
    s3, agent = house.client("s3"), house.client("bedrock-agent")
    s3.create_bucket(Bucket=BUCKET)
    for number, rule in RULES.items():
        key = f"rules/{number}.md"
        s3.upload_fileobj(io.BytesIO(f"# {rule.title}\n\n{rule.text}\n".encode()), BUCKET, key)
        attributes = {"chapter": int(number[0]), "language": "ja" if number[0] == "7" else "en"}
        told = json.dumps({"metadataAttributes": attributes})
        s3.put_object(Bucket=BUCKET, Key=f"{key}.metadata.json", Body=told)
    identifier: str = agent.create_knowledge_base(
        name="exchange-rules",
        description="The rules of the exchange",
        roleArn=house.role,
        knowledgeBaseConfiguration={
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": f"{PREFIX}{TITAN}"},
        },
    )["knowledgeBase"]["knowledgeBaseId"]
    ids = {"knowledgeBaseId": identifier}
    source = agent.create_data_source(
        **ids,
        name="rules-in-s3",
        dataSourceConfiguration={
            "type": "S3",
            "s3Configuration": {"bucketArn": f"arn:aws:s3:::{BUCKET}", "inclusionPrefixes": ["rules/"]},
        },
        vectorIngestionConfiguration={
            "chunkingConfiguration": {
                "chunkingStrategy": "FIXED_SIZE",
                "fixedSizeChunkingConfiguration": {"maxTokens": 200, "overlapPercentage": 20},
            }
        },
    )["dataSource"]["dataSourceId"]
    job = {**ids, "dataSourceId": source}
    started = agent.start_ingestion_job(**job)["ingestionJob"]["ingestionJobId"]

    def done() -> dict[str, Any]:
        found: dict[str, Any] = agent.get_ingestion_job(**job, ingestionJobId=started)["ingestionJob"]
        return found

    eventually(lambda: done()["status"] in ("COMPLETE", "FAILED"))
    assert done()["status"] == "COMPLETE", done()
    assert done()["statistics"]["numberOfNewDocumentsIndexed"] == len(RULES)
    return identifier


def managed(base: str, model: str = f"{PREFIX}{CLAUDE}", **config: Any) -> dict[str, Any]:
    own = {"knowledgeBaseId": base, "modelArn": model, **config}
    return {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": own}


def uri(number: str) -> str:
    return f"s3://{BUCKET}/rules/{number}.md"


def uris(results: list[dict[str, Any]]) -> list[str]:
    return [one["location"]["s3Location"]["uri"] for one in results]


def check(answer: str, citations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The references of an answer, whose parts have to be its text."""
    references = []
    for citation in citations:
        part = citation["generatedResponsePart"]["textResponsePart"]
        assert answer[part["span"]["start"] : part["span"]["end"] + 1] == part["text"]
        references += citation["retrievedReferences"]
    assert "".join(each["generatedResponsePart"]["textResponsePart"]["text"] for each in citations) == answer
    return references


def test_retrieve_then_converse(house: Installed, base: str) -> None:
    runtime, bedrock = house.client("bedrock-agent-runtime"), house.client("bedrock-runtime")
    query = "How fast does money have to be put up after a margin call?"
    results = runtime.retrieve(
        knowledgeBaseId=base,
        retrievalQuery={"text": query},
        retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 3, "overrideSearchType": "HYBRID"}},
    )["retrievalResults"]
    assert uris(results)[0] == uri("3.6")
    assert results[0]["metadata"]["x-outcrop-headings"] == ["Margin"]
    contexts = "\n".join(one["content"]["text"] for one in results)
    prompt = f"Answer from the context.\n<context>{contexts}</context>\n<question>{query}</question>"
    answer = bedrock.converse(
        modelId=CLAUDE,
        messages=[{"role": "user", "content": [{"text": prompt}]}],
        inferenceConfig={"maxTokens": 16, "temperature": 0},
    )
    assert answer["usage"]["inputTokens"] > 100


def test_a_users_own_words_find_what_the_rules_call_otherwise(house: Installed, base: str) -> None:
    runtime = house.client("bedrock-agent-runtime")

    def first(query: str, search_type: str) -> list[str]:
        config = {"vectorSearchConfiguration": {"numberOfResults": 3, "overrideSearchType": search_type}}
        asked = {"knowledgeBaseId": base, "retrievalQuery": {"text": query}, "retrievalConfiguration": config}
        return uris(runtime.retrieve(**asked)["retrievalResults"])

    for query, number in (
        ("What punishments can be handed out?", "5.3"),
        ("Is bribing the staff of a competitor with presents fine?", "3.5"),
    ):
        assert uri(number) in first(query, "SEMANTIC"), query
        assert uri(number) in first(query, "HYBRID"), query


def test_metadata_filters_of_the_notebook(house: Installed, base: str) -> None:
    runtime = house.client("bedrock-agent-runtime")
    one = {"equals": {"key": "language", "value": "en"}}
    two = {"andAll": [one, {"greaterThan": {"key": "chapter", "value": 3}}]}
    three = {"orAll": [two, {"in": {"key": "chapter", "value": [7]}}]}
    for asked, chapters in ((two, {4, 5, 6}), (three, {4, 5, 6, 7})):
        config = {"vectorSearchConfiguration": {"numberOfResults": 50, "filter": asked}}
        found = runtime.retrieve(
            knowledgeBaseId=base, retrievalQuery={"text": "member"}, retrievalConfiguration=config
        )["retrievalResults"]
        assert {one["metadata"]["chapter"] for one in found} == chapters


def test_reranking_within_retrieve(house: Installed, base: str) -> None:
    runtime = house.client("bedrock-agent-runtime")
    reranking = {
        "type": "BEDROCK_RERANKING_MODEL",
        "bedrockRerankingConfiguration": {
            "modelConfiguration": {"modelArn": f"{PREFIX}{RERANK}"},
            "numberOfRerankedResults": 4,
        },
    }
    asked = {"knowledgeBaseId": base, "retrievalQuery": {"text": "When do trades settle?"}}
    plain = runtime.retrieve(**asked, retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 10}})[
        "retrievalResults"
    ]
    search = {"numberOfResults": 10, "rerankingConfiguration": reranking}
    answer = runtime.retrieve(**asked, retrievalConfiguration={"vectorSearchConfiguration": search})
    ranked = answer["retrievalResults"]
    assert "nextToken" not in answer
    assert len(ranked) == 4
    assert set(uris(ranked)) <= set(uris(plain))
    scores = [one["score"] for one in ranked]
    assert scores == sorted(scores, reverse=True)


def test_a_talk_by_the_managed_answer(house: Installed, base: str) -> None:
    runtime = house.client("bedrock-agent-runtime")
    first = runtime.retrieve_and_generate(
        input={"text": "What is the initial margin for a purchase of shares?"},
        retrieveAndGenerateConfiguration=managed(base),
    )
    assert first["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-answering"] == "extractive"  # the starter is small
    assert "50 percent" in first["output"]["text"]
    assert uri("3.6") in uris(check(first["output"]["text"], first["citations"]))
    second = runtime.retrieve_and_generate(
        input={"text": "And what is the maintenance margin?"},
        sessionId=first["sessionId"],
        retrieveAndGenerateConfiguration=managed(base),
    )
    assert second["sessionId"] == first["sessionId"]
    assert "25 percent" in second["output"]["text"]


def test_an_answer_that_the_model_writes(house: Installed, base: str) -> None:
    settings = {"inferenceConfig": {"textInferenceConfig": {"maxTokens": 48, "temperature": 0}}, **GENERATIVE}
    account = house.role.split(":")[4]
    profile = f"arn:aws:bedrock:us-east-1:{account}:inference-profile/us.{CLAUDE}"
    answer = house.client("bedrock-agent-runtime").retrieve_and_generate(
        input={"text": "When do trades settle?"},
        retrieveAndGenerateConfiguration=managed(base, profile, generationConfiguration=settings),
    )
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-answering"] == "generative"
    check(answer["output"]["text"], answer["citations"])


def test_a_stream_of_the_managed_answer(house: Installed, base: str) -> None:
    answer = house.client("bedrock-agent-runtime").retrieve_and_generate_stream(
        input={"text": "How long must order tickets be preserved?"},
        retrieveAndGenerateConfiguration=managed(base),
    )
    text, citations = "", []
    for event in answer["stream"]:
        if "output" in event:
            text += event["output"]["text"]
        if "citation" in event:
            citations.append(event["citation"]["citation"])
    assert "six years" in text
    assert uri("5.1") in uris(check(text, citations))


def test_a_document_of_ones_own(house: Installed, base: str) -> None:
    runtime, s3 = house.client("bedrock-agent-runtime"), house.client("s3")
    s3.put_object(Bucket=BUCKET, Key="memo.txt", Body=b"The annual meeting is on the third of June. Lunch is at noon.")
    for source in (
        {"sourceType": "S3", "s3Location": {"uri": f"s3://{BUCKET}/memo.txt"}},
        {
            "sourceType": "BYTE_CONTENT",
            "byteContent": {
                "identifier": "memo.txt",
                "contentType": "text/plain",
                "data": b"The annual meeting is on the third of June. Lunch is at noon.",
            },
        },
    ):
        answer = runtime.retrieve_and_generate(
            input={"text": "When is the annual meeting?"},
            retrieveAndGenerateConfiguration={
                "type": "EXTERNAL_SOURCES",
                "externalSourcesConfiguration": {"modelArn": f"{PREFIX}{CLAUDE}", "sources": [source]},
            },
        )
        assert answer["output"]["text"].startswith("The annual meeting is on the third of June.")
        assert check(answer["output"]["text"], answer["citations"])
