"""Guardrails through a served house, as public notebooks call them by boto3: made, versioned, applied, and in the way of
invocations. The model, and the judge, say what the test wants; what stands between is real."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from outcrop.access.names import Kind
from outcrop.settings import Settings
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.knowledge_house import knowledge_base, rule_documents, rule_metadata
from tests.support.policies import policy
from tests.support.servers import Running, free_port, running_server
from tests.support.small_tokenizers import BUNDLED
from tests.support.speaking_engine import speaking_engine

STARTER = "outcrop.starter-v1"
IN, OUT = "Sorry, I cannot take that.", "Sorry, I cannot say that."
WORDS = {"wordsConfig": [{"text": "project falcon"}], "managedWordListsConfig": [{"type": "PROFANITY"}]}
SENSITIVE = {
    "piiEntitiesConfig": [
        {"type": "EMAIL", "action": "ANONYMIZE"},
        {"type": "US_SOCIAL_SECURITY_NUMBER", "action": "BLOCK"},
    ],
    "regexesConfig": [{"name": "Account", "description": "d", "pattern": r"AC-\d{4}", "action": "ANONYMIZE"}],
}
TOPIC = {
    "name": "Investment Advice",
    "definition": "Advice about stocks, funds or other ways to invest money.",
    "examples": ["Which stock shall I buy?"],
    "type": "DENY",
}


@dataclass
class Guarded:
    """A served house whose model says what it is told to."""

    server: Running
    says: Callable[[str], str] = lambda _prompt: "yes"

    def client(self, service: str = "bedrock-runtime", **more: Any) -> Any:
        return self.server.client(service, **more)

    def guardrail(self, *, tags: dict[str, str] | None = None, **policies: Any) -> str:
        control = self.client("bedrock")
        made: str = control.create_guardrail(
            name=f"g-{len(control.list_guardrails(maxResults=1000)['guardrails'])}-{id(policies)}",
            blockedInputMessaging=IN,
            blockedOutputsMessaging=OUT,
            tags=[{"key": key, "value": value} for key, value in (tags or {}).items()],
            **(policies or {"wordPolicyConfig": WORDS, "sensitiveInformationPolicyConfig": SENSITIVE}),
        )["guardrailId"]
        return made

    def applied(self, guardrail: str, *texts: Any, source: str = "INPUT", **more: Any) -> dict[str, Any]:
        content = [{"text": text if isinstance(text, dict) else {"text": text}} for text in texts]
        answer: dict[str, Any] = self.client().apply_guardrail(
            guardrailIdentifier=guardrail, guardrailVersion="DRAFT", source=source, content=content, **more
        )
        return answer

    def converse(self, guardrail: str, *content: Any, trace: str = "enabled", **more: Any) -> dict[str, Any]:
        blocks = [{"text": block} if isinstance(block, str) else block for block in content]
        answer: dict[str, Any] = self.client().converse(
            modelId=STARTER,
            messages=[{"role": "user", "content": blocks}],
            guardrailConfig={"guardrailIdentifier": guardrail, "guardrailVersion": "DRAFT", "trace": trace},
            **more,
        )
        return answer

    def streamed(
        self, guardrail: str, text: str, mode: str = "sync"
    ) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        """The text of a stream, its metadata, and its events."""
        config = {"guardrailIdentifier": guardrail, "guardrailVersion": "DRAFT", "trace": "enabled"}
        events = list(
            self.client().converse_stream(
                modelId=STARTER,
                messages=[{"role": "user", "content": [{"text": text}]}],
                guardrailConfig={**config, "streamProcessingMode": mode},
            )["stream"]
        )
        said = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
        return "".join(said), events[-1]["metadata"], events


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    tokenizer = Tokenizer.open(BUNDLED)

    def say(body: dict[str, Any]) -> list[int]:
        return [*tokenizer.encode(made.says(tokenizer.decode(body["prompt"])), begin=False), tokenizer.eos_id]

    home = tmp_path_factory.mktemp("guardrails") / "home"
    with running_server(home) as server, speaking_engine(server.platform, STARTER, say):
        made = Guarded(server)
        yield made


@pytest.fixture
def house(whole: Guarded) -> Guarded:
    whole.says = lambda _prompt: "yes"
    return whole


def text_of(answer: dict[str, Any]) -> str:
    return str(answer["output"]["message"]["content"][0]["text"])


def said(refused: "pytest.ExceptionInfo[ClientError]") -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_the_life_of_a_guardrail(house: Guarded) -> None:
    control = house.client("bedrock")
    made = control.create_guardrail(
        name="life",
        description="of a guardrail",
        wordPolicyConfig=WORDS,
        sensitiveInformationPolicyConfig=SENSITIVE,
        blockedInputMessaging=IN,
        blockedOutputsMessaging=OUT,
        tags=[{"key": "team", "value": "a"}],
        clientRequestToken="once",
    )
    identifier, arn = made["guardrailId"], made["guardrailArn"]
    assert (made["version"], made["ResponseMetadata"]["HTTPStatusCode"]) == ("DRAFT", 202)
    assert arn.endswith(f":guardrail/{identifier}")
    again = control.create_guardrail(
        name="life",
        description="of a guardrail",
        wordPolicyConfig=WORDS,
        sensitiveInformationPolicyConfig=SENSITIVE,
        blockedInputMessaging=IN,
        blockedOutputsMessaging=OUT,
        tags=[{"key": "team", "value": "a"}],
        clientRequestToken="once",
    )
    assert again["guardrailId"] == identifier
    assert control.list_tags_for_resource(resourceARN=arn)["tags"] == [{"key": "team", "value": "a"}]
    for _ in range(2):
        first = control.create_guardrail_version(
            guardrailIdentifier=identifier, description="first", clientRequestToken="version"
        )
        assert (first["guardrailId"], first["version"]) == (identifier, "1")
    control.update_guardrail(
        guardrailIdentifier=arn,
        name="life",
        wordPolicyConfig={"wordsConfig": [{"text": "other", "inputAction": "NONE"}]},
        blockedInputMessaging="in",
        blockedOutputsMessaging="out",
    )
    assert control.create_guardrail_version(guardrailIdentifier=identifier)["version"] == "2"
    got = control.get_guardrail(guardrailIdentifier=identifier, guardrailVersion="1")
    assert got["wordPolicy"] == {"words": WORDS["wordsConfig"], "managedWordLists": WORDS["managedWordListsConfig"]}
    assert got["sensitiveInformationPolicy"] == {
        "piiEntities": SENSITIVE["piiEntitiesConfig"],
        "regexes": SENSITIVE["regexesConfig"],
    }
    assert (got["status"], got["version"], got["description"]) == ("READY", "1", "first")
    draft = control.get_guardrail(guardrailIdentifier=identifier)
    assert draft["wordPolicy"] == {"words": [{"text": "other", "inputAction": "NONE"}]}
    assert "sensitiveInformationPolicy" not in draft
    assert "description" not in draft
    pages = control.get_paginator("list_guardrails").paginate(guardrailIdentifier=identifier, maxResults=2)
    assert [each["version"] for page in pages for each in page["guardrails"]] == ["DRAFT", "2", "1"]
    assert identifier in [each["id"] for each in control.list_guardrails()["guardrails"]]
    control.delete_guardrail(guardrailIdentifier=identifier, guardrailVersion="1")
    with pytest.raises(ClientError) as gone:
        control.get_guardrail(guardrailIdentifier=identifier, guardrailVersion="1")
    assert said(gone)[0] == "ResourceNotFoundException"
    assert control.delete_guardrail(guardrailIdentifier=identifier)["ResponseMetadata"]["HTTPStatusCode"] == 202
    with pytest.raises(ClientError) as gone:
        control.get_guardrail(guardrailIdentifier=identifier)
    assert said(gone)[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("policies", "sentence"),
    [
        ({}, "A guardrail has one policy at least."),
        (
            {
                "contentPolicyConfig": {
                    "filtersConfig": [{"type": "HATE", "inputStrength": "HIGH", "outputStrength": "LOW"}]
                }
            },
            "contentPolicyConfig.filtersConfig: only a model that reads can tell HATE.",
        ),
        ({"topicPolicyConfig": {"topicsConfig": [TOPIC]}}, "topicPolicyConfig: a topic is told by a model."),
        (
            {"sensitiveInformationPolicyConfig": {"piiEntitiesConfig": [{"type": "NAME", "action": "BLOCK"}]}},
            "sensitiveInformationPolicyConfig.piiEntitiesConfig: no pattern tells NAME. Name a judge of this machine",
        ),
        (
            {"contextualGroundingPolicyConfig": {"filtersConfig": [{"type": "GROUNDING", "threshold": 1.0}]}},
            "contextualGroundingPolicyConfig.filtersConfig.0.threshold: 1 is not between 0 and 0.99.",
        ),
        (
            {
                "automatedReasoningPolicyConfig": {
                    "policies": ["arn:aws:bedrock:us-east-1:123456789012:automated-reasoning-policy/abcdefghijkl"]
                }
            },
            "automatedReasoningPolicyConfig: Automated Reasoning is not built in Outcrop.",
        ),
        ({"wordPolicyConfig": {"wordsConfig": [{"text": " "}]}}, "wordPolicyConfig.wordsConfig.0.text: blank."),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(house: Guarded, policies: Any, sentence: str) -> None:
    with pytest.raises(ClientError) as refused:
        house.client("bedrock").create_guardrail(
            name="refused", blockedInputMessaging=IN, blockedOutputsMessaging=OUT, **policies
        )
    assert said(refused)[0] == "ValidationException"
    assert said(refused)[1].startswith(sentence)


def test_a_name_is_taken_once_and_never_stands_for_an_id(house: Guarded) -> None:
    identifier = house.guardrail()
    name = house.client("bedrock").get_guardrail(guardrailIdentifier=identifier)["name"]
    with pytest.raises(ClientError) as taken:
        house.client("bedrock").create_guardrail(
            name=name, wordPolicyConfig=WORDS, blockedInputMessaging=IN, blockedOutputsMessaging=OUT
        )
    assert said(taken)[0] == "ConflictException"
    house.client("bedrock").create_guardrail(
        name="abcdef", wordPolicyConfig=WORDS, blockedInputMessaging=IN, blockedOutputsMessaging=OUT
    )
    with pytest.raises(ClientError) as unknown:
        house.applied("abcdef", "hi")
    assert said(unknown)[0] == "ResourceNotFoundException"


def test_applied_to_text_it_tells_what_it_found_in_bedrocks_shapes(house: Guarded) -> None:
    identifier = house.guardrail()
    answer = house.applied(identifier, "Tell me of Project  Falcon, damn it. ann@example.com")
    assert (answer["action"], answer["actionReason"]) == ("GUARDRAIL_INTERVENED", "Guardrail blocked.")
    assert answer["outputs"] == [{"text": IN}]
    (assessment,) = answer["assessments"]
    metrics = assessment.pop("invocationMetrics")
    details = assessment.pop("appliedGuardrailDetails")
    assert (details["guardrailId"], details["guardrailVersion"]) == (identifier, "DRAFT")
    assert assessment == {
        "wordPolicy": {
            "customWords": [{"match": "Project  Falcon", "action": "BLOCKED", "detected": True}],
            "managedWordLists": [{"match": "damn", "type": "PROFANITY", "action": "BLOCKED", "detected": True}],
        },
        "sensitiveInformationPolicy": {
            "piiEntities": [{"match": "ann@example.com", "type": "EMAIL", "action": "ANONYMIZED", "detected": True}],
            "regexes": [],
        },
    }
    assert answer["usage"] == metrics["usage"]
    assert {name: count for name, count in answer["usage"].items() if count} == {
        "wordPolicyUnits": 1,
        "sensitiveInformationPolicyUnits": 1,
        "sensitiveInformationPolicyFreeUnits": 1,
    }
    assert answer["guardrailCoverage"] == {"textCharacters": {"guarded": 52, "total": 52}}


def test_masks_and_harmless_texts(house: Guarded) -> None:
    identifier = house.guardrail()
    masked = house.applied(identifier, "Write to ann@example.com", "about AC-1234", source="OUTPUT")
    assert (masked["action"], masked["actionReason"]) == ("GUARDRAIL_INTERVENED", "Guardrail masked.")
    assert masked["outputs"] == [{"text": "Write to {EMAIL}"}, {"text": "about {Account}"}]
    assert masked["assessments"][0]["sensitiveInformationPolicy"]["regexes"] == [
        {"name": "Account", "match": "AC-1234", "regex": r"AC-\d{4}", "action": "ANONYMIZED", "detected": True}
    ]
    harmless = house.applied(identifier, "hello", outputScope="FULL")
    assert (harmless["action"], harmless["actionReason"], harmless["outputs"]) == ("NONE", "No action.", [])
    entities = harmless["assessments"][0]["sensitiveInformationPolicy"]["piiEntities"]
    assert [(each["type"], each["action"], each["detected"]) for each in entities] == [
        ("EMAIL", "NONE", False),
        ("US_SOCIAL_SECURITY_NUMBER", "NONE", False),
    ]


def test_what_is_only_to_be_told_changes_nothing(house: Guarded) -> None:
    word = {"text": "falcon", "inputAction": "NONE", "outputEnabled": False}
    identifier = house.guardrail(wordPolicyConfig={"wordsConfig": [word]})
    told = house.applied(identifier, "a falcon")
    assert (told["action"], told["outputs"]) == ("NONE", [])
    assert told["assessments"][0]["wordPolicy"]["customWords"] == [
        {"match": "falcon", "action": "NONE", "detected": True}
    ]
    silent = house.applied(identifier, "a falcon", source="OUTPUT")
    assert "wordPolicy" not in silent["assessments"][0]
    assert silent["usage"]["wordPolicyUnits"] == 0


def test_a_conversation_is_blocked_on_its_way_in_and_the_model_is_not_asked(house: Guarded) -> None:
    asked = list[str]()
    house.says = lambda prompt: asked.append(prompt) or "yes"  # type: ignore[func-returns-value]
    answer = house.converse(house.guardrail(), "What is project falcon?")
    assert text_of(answer) == IN
    assert answer["stopReason"] == "guardrail_intervened"
    assert answer["usage"] == {"inputTokens": 0, "outputTokens": 0, "totalTokens": 0}
    trace = answer["trace"]["guardrail"]
    assert trace["actionReason"] == "Guardrail blocked."
    ((_, assessment),) = trace["inputAssessment"].items()
    assert assessment["wordPolicy"]["customWords"][0]["match"] == "project falcon"
    assert asked == []


def test_a_conversation_is_masked_on_its_way_in_and_out(house: Guarded) -> None:
    asked = list[str]()

    def says(prompt: str) -> str:
        asked.append(prompt)
        return "Mail bob@example.com."

    house.says = says
    answer = house.converse(house.guardrail(), "I am ann@example.com.", system=[{"text": "Serve eve@example.com."}])
    assert text_of(answer) == "Mail {EMAIL}."
    assert answer["stopReason"] == "guardrail_intervened"
    assert "{EMAIL}" in asked[0]
    assert "ann@" not in asked[0]
    assert "eve@example.com" in asked[0], "system prompts are looked at where they are marked"
    trace = answer["trace"]["guardrail"]
    assert (trace["actionReason"], "modelOutput" in trace) == ("Guardrail masked.", False)
    full = house.converse(house.guardrail(), "hi", trace="enabled_full")["trace"]["guardrail"]
    assert full["modelOutput"] == ["Mail bob@example.com."]
    assert "trace" not in house.converse(house.guardrail(), "hi", trace="disabled")


def test_marked_content_alone_is_looked_at(house: Guarded) -> None:
    identifier = house.guardrail()
    marked = {"guardContent": {"text": {"text": "hello"}}}
    answer = house.converse(identifier, "About project falcon:", marked)
    assert (text_of(answer), answer["stopReason"]) == ("yes", "end_turn")
    coverage = answer["trace"]["guardrail"]["inputAssessment"][identifier]["invocationMetrics"]["guardrailCoverage"]
    assert coverage == {"textCharacters": {"guarded": 5, "total": 26}}
    bad = {"guardContent": {"text": {"text": "project falcon"}}}
    assert text_of(house.converse(identifier, "hi", bad)) == IN
    system = [{"guardContent": {"text": {"text": "project falcon"}}}]
    assert text_of(house.converse(identifier, "hi", system=system)) == IN


def test_a_stream_never_shows_what_is_blocked(house: Guarded) -> None:
    identifier = house.guardrail()
    house.says = lambda _prompt: "It is all about Project Falcon, and more."
    text, metadata, events = house.streamed(identifier, "hi")
    assert text == f"It is all about {OUT}"
    assert (
        next(event for event in events if "messageStop" in event)["messageStop"]["stopReason"] == "guardrail_intervened"
    )
    trace = metadata["trace"]["guardrail"]
    (told,) = trace["outputAssessments"][identifier]
    assert told["wordPolicy"]["customWords"] == [{"match": "Project Falcon", "action": "BLOCKED", "detected": True}]
    house.says = lambda _prompt: "Mail ann@example.com or AC-1234 now."
    text, metadata, _ = house.streamed(identifier, "hi")
    assert (text, metadata["trace"]["guardrail"]["actionReason"]) == (
        "Mail {EMAIL} or {Account} now.",
        "Guardrail masked.",
    )
    text, metadata, _ = house.streamed(identifier, "my ssn is 123-45-6789")
    assert (text, metadata["usage"]["outputTokens"]) == (IN, 0)


def test_an_asynchronous_stream_is_ended_when_something_is_found_and_masks_nothing(house: Guarded) -> None:
    identifier = house.guardrail()
    house.says = lambda _prompt: "Mail ann@example.com about project falcon today, and tomorrow."
    text, _, events = house.streamed(identifier, "hi", mode="async")
    assert text.startswith("Mail ann@example.com about project falcon")
    assert text.endswith(OUT)
    assert any(
        "messageStop" in event and event["messageStop"]["stopReason"] == "guardrail_intervened" for event in events
    )


def test_bodies_of_invoke_model_are_guarded_too(house: Guarded) -> None:
    identifier, client = house.guardrail(), house.client()
    named = {"guardrailIdentifier": identifier, "guardrailVersion": "DRAFT", "modelId": STARTER, "trace": "ENABLED"}
    house.says = lambda _prompt: "Mail bob@example.com."

    def body(text: str, **more: Any) -> bytes:
        return json.dumps({"inputText": text, **more}).encode()

    answer = json.loads(client.invoke_model(body=body("hi"), **named)["body"].read())
    assert answer["results"][0]["outputText"] == "Mail {EMAIL}."
    assert answer["amazon-bedrock-guardrailAction"] == "INTERVENED"
    trace = answer["amazon-bedrock-trace"]["guardrail"]
    assert trace["outputs"][0][identifier]["sensitiveInformationPolicy"]["piiEntities"][0]["action"] == "ANONYMIZED"
    blocked = json.loads(client.invoke_model(body=body("project falcon"), **named)["body"].read())
    assert blocked["results"][0]["outputText"] == IN
    assert blocked["results"][0]["completionReason"] == "CONTENT_FILTERED"
    tagged = "project falcon <amazon-bedrock-guardrails-guardContent_x1>hi</amazon-bedrock-guardrails-guardContent_x1>"
    config = {"amazon-bedrock-guardrailConfig": {"tagSuffix": "x1"}}
    passed = json.loads(client.invoke_model(body=body(tagged, **config), **named)["body"].read())
    assert passed["results"][0]["outputText"] == "Mail {EMAIL}."
    house.says = lambda _prompt: "All of project falcon"
    stream = client.invoke_model_with_response_stream(body=body("hi"), **named)["body"]
    chunks = [json.loads(event["chunk"]["bytes"]) for event in stream]
    assert "".join(chunk.get("outputText", "") for chunk in chunks) == f"All of {OUT}"
    assert chunks[-1]["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert "amazon-bedrock-invocationMetrics" in chunks[-1]
    with pytest.raises(ClientError, match="guardrailIdentifier and guardrailVersion belong together"):
        client.invoke_model(body=body("hi"), modelId=STARTER, guardrailIdentifier=identifier)


def test_openais_door_takes_a_guardrail_by_bedrocks_headers(house: Guarded) -> None:
    identifier = house.guardrail()
    access = house.server.platform.access
    access.identities.create_user(f"chat-{identifier}")
    access.attachments.put_inline(Kind.USER, f"chat-{identifier}", "own", policy("Allow", ["bedrock:*"]))
    _, secret = access.service_credentials.create(f"chat-{identifier}", "bedrock.amazonaws.com", age_days=None)
    headers = {
        "Authorization": f"Bearer {secret}",
        "X-Amzn-Bedrock-GuardrailIdentifier": identifier,
        "X-Amzn-Bedrock-GuardrailVersion": "DRAFT",
        "X-Amzn-Bedrock-Trace": "ENABLED",
    }

    def post(path: str, **body: Any) -> httpx.Response:
        return httpx.post(
            f"{house.server.settings.endpoint}/v1{path}", headers=headers, json={"model": STARTER, **body}
        )

    def chat(text: str, **more: Any) -> httpx.Response:
        return post("/chat/completions", messages=[{"role": "user", "content": text}], **more)

    house.says = lambda _prompt: "Mail bob@example.com."
    answer = chat("hi").json()
    assert answer["choices"][0]["message"]["content"] == "Mail {EMAIL}."
    assert answer["amazon-bedrock-guardrailAction"] == "INTERVENED"
    assert answer["amazon-bedrock-trace"]["guardrail"]["actionReason"] == "Guardrail masked."
    (blocked,) = chat("project falcon").json()["choices"]
    assert (blocked["message"]["content"], blocked["finish_reason"]) == (IN, "content_filter")
    house.says = lambda _prompt: "Well, project falcon"
    lines = [line.removeprefix("data: ") for line in chat("hi", stream=True).text.split("\n\n")[:-2]]
    chunks = [json.loads(line) for line in lines]
    told = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
    assert "".join(told) == f"Well, {OUT}"
    assert chunks[-1]["amazon-bedrock-guardrailAction"] == "INTERVENED"
    refused = chat("hi", logprobs=True)
    assert (refused.status_code, refused.json()["error"]["message"]) == (
        400,
        "logprobs: they would tell what a guardrail masks. Leave them out, or the guardrail.",
    )
    response = post("/responses", input="project falcon").json()
    assert (response["output"][0]["content"][0]["text"], response["status"]) == (IN, "incomplete")
    completion = post("/completions", prompt="project falcon").json()["choices"][0]
    assert (completion["text"], completion["finish_reason"]) == (IN, "content_filter")
    assert post("/completions", prompt=["a", "b"]).status_code == 400
    assert post("/embeddings", input="a").status_code == 400


def test_a_judge_tells_topics_contents_and_names(house: Guarded) -> None:
    identifier = house.guardrail(
        tags={"outcrop:guardrail-judge": STARTER},
        topicPolicyConfig={"topicsConfig": [TOPIC]},
        contentPolicyConfig={
            "filtersConfig": [
                {"type": "VIOLENCE", "inputStrength": "LOW", "outputStrength": "HIGH"},
                {"type": "PROMPT_ATTACK", "inputStrength": "HIGH", "outputStrength": "NONE"},
            ]
        },
        sensitiveInformationPolicyConfig={"piiEntitiesConfig": [{"type": "NAME", "action": "ANONYMIZE"}]},
    )
    answers = {
        "Investment Advice": "NO",
        "violence": "NONE",
        "pain": "MEDIUM",
        "ignore its": "NONE",
        "the name of": '["Ann Lee"]',
    }
    house.says = lambda prompt: next((told for mark, told in answers.items() if mark in prompt), "Ann Lee said it.")
    passed = house.applied(identifier, "Ann Lee hit him.", outputScope="FULL")
    assert passed["outputs"] == [{"text": "{NAME} hit him."}]
    policy = passed["assessments"][0]
    assert policy["topicPolicy"]["topics"] == [
        {"name": "Investment Advice", "type": "DENY", "action": "NONE", "detected": False}
    ]
    assert policy["contentPolicy"]["filters"][0] == {
        "type": "VIOLENCE", "confidence": "MEDIUM", "filterStrength": "LOW", "action": "NONE", "detected": False,
    }  # fmt: skip
    out = house.applied(identifier, "Ann Lee hit him.", source="OUTPUT")
    assert out["outputs"] == [{"text": OUT}]
    answers["Investment Advice"] = "YES"
    blocked = house.applied(identifier, "Which fund?")
    assert (blocked["outputs"], blocked["usage"]["topicPolicyUnits"]) == ([{"text": IN}], 1)
    answers["Investment Advice"] = "perhaps"
    with pytest.raises(ClientError, match="The judge of the guardrail answered with none of NO, YES"):
        house.applied(identifier, "Which fund?")
    with pytest.raises(ClientError, match="nosuch"):
        house.guardrail(tags={"outcrop:guardrail-judge": "nosuch.model"}, wordPolicyConfig=WORDS)


def test_an_answer_is_held_against_its_source_and_its_question(house: Guarded) -> None:
    filters = [{"type": "GROUNDING", "threshold": 0.7}, {"type": "RELEVANCE", "threshold": 0.5}]
    identifier = house.guardrail(contextualGroundingPolicyConfig={"filtersConfig": filters})
    source = {
        "text": "Tokyo is the capital of Japan. Its harbour was opened in 1941.",
        "qualifiers": ["grounding_source"],
    }
    query = {"text": "What is the capital of Japan?", "qualifiers": ["query"]}

    def scores(answer: str) -> tuple[str, dict[str, tuple[str, bool]]]:
        told = house.applied(identifier, source, query, answer, source="OUTPUT", outputScope="FULL")
        found = told["assessments"][0]["contextualGroundingPolicy"]["filters"]
        assert told["usage"]["contextualGroundingPolicyUnits"] == 1
        return told["action"], {each["type"]: (each["action"], each["detected"]) for each in found}

    fine, blocked = ("NONE", False), ("BLOCKED", True)
    assert scores("The capital of Japan is Tokyo.") == ("NONE", {"GROUNDING": fine, "RELEVANCE": fine})
    assert scores("Tokyo.")[1]["RELEVANCE"] == fine
    assert scores("London is the capital of Japan.")[1]["GROUNDING"] == blocked
    assert scores("The harbour was opened in 1941.") == (
        "GUARDRAIL_INTERVENED",
        {"GROUNDING": fine, "RELEVANCE": blocked},
    )
    assert scores("The harbour was opened in 1950.")[1]["GROUNDING"] == blocked
    marked = [{"guardContent": {"text": each}} for each in (source, query)]
    house.says = lambda _prompt: "London is the capital of Japan."
    answer = house.converse(identifier, *marked)
    assert (text_of(answer), answer["stopReason"]) == (OUT, "guardrail_intervened")
    house.says = lambda _prompt: "Tokyo is the capital of Japan."
    assert text_of(house.converse(identifier, *marked)) == "Tokyo is the capital of Japan."


def test_answers_from_a_knowledge_base_are_guarded(house: Guarded) -> None:
    identifier, client = house.guardrail(), house.client("bedrock-agent-runtime")
    base = knowledge_base(house.server.platform, rule_documents(), metadata=rule_metadata())
    named = {"guardrailConfiguration": {"guardrailId": identifier, "guardrailVersion": "DRAFT"}}

    def config(**more: Any) -> dict[str, Any]:
        generation = {"additionalModelRequestFields": {"outcrop_answering": "generative"}, **named}
        model = f"arn:aws:bedrock:us-east-1::foundation-model/{STARTER}"
        own = {"knowledgeBaseId": base, "modelArn": model, "generationConfiguration": generation}
        return {
            "input": {"text": "How much is the fee of an application?"},
            "retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": own},
            **more,
        }

    house.says = lambda _prompt: "The application fee is 2,500 dollars. Ask ann@example.com. It is due."
    answer = client.retrieve_and_generate(**config())
    assert answer["output"]["text"] == "The application fee is 2,500 dollars. Ask {EMAIL}. It is due."
    assert answer["guardrailAction"] == "INTERVENED"
    parts = [each["generatedResponsePart"]["textResponsePart"] for each in answer["citations"]]
    assert "".join(part["text"] for part in parts) == answer["output"]["text"]
    for part in parts:
        assert answer["output"]["text"][part["span"]["start"] : part["span"]["end"] + 1] == part["text"]
    blocked = client.retrieve_and_generate(**config(input={"text": "project falcon?"}))
    assert (blocked["output"]["text"], blocked["citations"], blocked["guardrailAction"]) == (IN, [], "INTERVENED")
    house.says = lambda _prompt: "It is project falcon."
    events = list(client.retrieve_and_generate_stream(**config())["stream"])
    assert events == [{"output": {"text": OUT}}, {"guardrail": {"action": "INTERVENED"}}]
    found = client.retrieve(knowledgeBaseId=base, retrievalQuery={"text": "the fee"}, **named)
    assert found["retrievalResults"]
    assert found["guardrailAction"] == "NONE"
    nothing = client.retrieve(knowledgeBaseId=base, retrievalQuery={"text": "project falcon"}, **named)
    assert (nothing["retrievalResults"], nothing["guardrailAction"]) == ([], "INTERVENED")


def test_the_flow_of_public_notebooks_runs_unmodified_where_the_administrator_names_a_judge(
    tmp_path: Path,
) -> None:
    """As the guardrails notebooks of aws-samples go: all policies at once, then input, output, a version, and clean up."""
    tokenizer = Tokenizer.open(BUNDLED)

    def say(body: dict[str, Any]) -> list[int]:
        prompt = tokenizer.decode(body["prompt"])
        told = "[]" if "JSON array" in prompt else "NO" if "YES or NO" in prompt else "NONE"
        if "Fiduciary" in prompt and "stock" in prompt.split("<text>")[1].split("</text>")[0]:
            told = "YES"
        return [*tokenizer.encode(told, begin=False), tokenizer.eos_id]

    judged = Settings(home=tmp_path / "home", port=free_port(), guardrail_judge=STARTER)
    with running_server(judged.home, settings=judged) as server, speaking_engine(server.platform, STARTER, say):
        client, runtime = server.client("bedrock"), server.client("bedrock-runtime")
        kinds = ("SEXUAL", "VIOLENCE", "HATE", "INSULTS", "MISCONDUCT", "PROMPT_ATTACK")
        created = client.create_guardrail(
            name="fiduciary-advice",
            description="Prevents our model from providing fiduciary advice.",
            topicPolicyConfig={"topicsConfig": [{**TOPIC, "name": "Fiduciary Advice"}]},
            contentPolicyConfig={
                "filtersConfig": [
                    {"type": kind, "inputStrength": "HIGH", "outputStrength": "NONE" if kind == kinds[-1] else "HIGH"}
                    for kind in kinds
                ]
            },
            wordPolicyConfig=WORDS,
            sensitiveInformationPolicyConfig={
                "piiEntitiesConfig": [
                    {"type": kind, "action": "ANONYMIZE"} for kind in ("EMAIL", "PHONE", "NAME", "ADDRESS")
                ],
            },
            contextualGroundingPolicyConfig={"filtersConfig": [{"type": "GROUNDING", "threshold": 0.75}]},
            blockedInputMessaging=IN,
            blockedOutputsMessaging=OUT,
            tags=[{"key": "purpose", "value": "fiduciary-advice-prevention"}],
        )
        identifier = created["guardrailId"]
        version = client.create_guardrail_version(guardrailIdentifier=identifier, description="v1")["version"]
        assert client.list_guardrails(guardrailIdentifier=identifier)["guardrails"][1]["version"] == version
        for source, text, expected in (
            ("INPUT", "How should I invest for my retirement? Which stock?", [IN]),
            ("INPUT", "What is the rate you offer for the Gold account?", []),
            (
                "OUTPUT",
                "You should call 206-555-0100 or mail ann@example.com.",
                ["You should call {PHONE} or mail {EMAIL}."],
            ),
        ):
            answer = runtime.apply_guardrail(
                guardrailIdentifier=identifier,
                guardrailVersion=version,
                source=source,
                content=[{"text": {"text": text}}],
            )
            assert [each["text"] for each in answer["outputs"]] == expected
        client.delete_guardrail(guardrailIdentifier=identifier)


def test_an_administrator_can_demand_a_guardrail(house: Guarded) -> None:
    identifier = house.guardrail()
    house.client("bedrock").create_guardrail_version(guardrailIdentifier=identifier)
    access, arn = (
        house.server.platform.access,
        f"arn:aws:bedrock:us-east-1:{house.server.platform.account}:guardrail/{identifier}",
    )
    access.identities.create_user("guarded")
    access.attachments.put_inline(
        Kind.USER,
        "guarded",
        "own",
        json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"],
                        "Resource": "*",
                        "Condition": {"StringEquals": {"bedrock:GuardrailIdentifier": f"{arn}:1"}},
                    },
                    {"Effect": "Allow", "Action": "bedrock:ApplyGuardrail", "Resource": arn},
                ],
            }
        ),
    )
    key = access.credentials.create_key("guarded")
    client = house.client(aws_access_key_id=key.key_id, aws_secret_access_key=key.secret)
    ask: dict[str, Any] = {"modelId": STARTER, "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    config = {"guardrailIdentifier": identifier, "guardrailVersion": "1"}
    assert text_of(client.converse(**ask, guardrailConfig=config)) == "yes"
    other = house.guardrail()
    for wrong in (
        {},
        {"guardrailConfig": {**config, "guardrailVersion": "DRAFT"}},
        {"guardrailConfig": {**config, "guardrailIdentifier": other}},
    ):
        with pytest.raises(ClientError) as denied:
            client.converse(**ask, **wrong)
        assert said(denied)[0] == "AccessDeniedException"
    with pytest.raises(ClientError) as denied:
        client.apply_guardrail(
            guardrailIdentifier=other, guardrailVersion="1", source="INPUT", content=[{"text": {"text": "a"}}]
        )
    assert said(denied)[0] == "AccessDeniedException"
    applied = client.apply_guardrail(
        guardrailIdentifier=arn, guardrailVersion="1", source="INPUT", content=[{"text": {"text": "a"}}]
    )
    assert applied["action"] == "NONE"
