"""Retrieve and RetrieveAndGenerate through a served house, as public notebooks call them by boto3.

The passages are put into the index by hand, and the model says what the test wants it to: what stands between is real.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from outcrop.access.names import Kind
from outcrop.catalog import custom_models
from outcrop.cli.grounded_recipe import grounding
from outcrop.deployments.states import ON_DEMAND
from outcrop.house import House
from outcrop.invocation.quotas import Quota, Scope
from outcrop.knowledge.answering.answering import NOTHING_FOUND
from outcrop.recipes.grounded import grounded
from outcrop.recipes.recipe import Dropped, Kept
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.engine_double import EngineDouble
from tests.support.knowledge_house import knowledge_base, rule_documents, rule_metadata
from tests.support.patience import eventually
from tests.support.policies import policy
from tests.support.rule_book import ANSWERS
from tests.support.servers import Running, running_server
from tests.support.small_tokenizers import BUNDLED
from tests.support.speaking_engine import speaking_engine

STARTER = "outcrop.starter-v1"
MODEL = f"arn:aws:bedrock:us-east-1::foundation-model/{STARTER}"
EXTRACTS = "arn:aws:bedrock:us-east-1::foundation-model/outcrop.extractive-v1"
GENERATIVE = {"additionalModelRequestFields": {"outcrop_answering": "generative"}}


@dataclass
class Talking:
    """A served house with the rule book, and a model that says what it is told to."""

    server: Running
    engine: EngineDouble
    base: str
    says: Callable[[str], str] = lambda _prompt: ""
    prompts: list[str] = field(default_factory=list)

    def client(self, **overrides: Any) -> Any:
        return self.server.client("bedrock-agent-runtime", **overrides)

    def retrieve(self, text: str, **search: Any) -> list[dict[str, Any]]:
        config = {"retrievalConfiguration": {"vectorSearchConfiguration": search}} if search else {}
        answer = self.client().retrieve(knowledgeBaseId=self.base, retrievalQuery={"text": text}, **config)
        found: list[dict[str, Any]] = answer["retrievalResults"]
        return found

    def asked(self, text: str, *, session: str | None = None, client: Any = None, **config: Any) -> dict[str, Any]:
        answer: dict[str, Any] = (client or self.client()).retrieve_and_generate(
            **self.question(text, session=session, **config)
        )
        return answer

    def question(self, text: str, *, session: str | None = None, model: str = MODEL, **config: Any) -> dict[str, Any]:
        given = {"generationConfiguration": GENERATIVE, **config}
        own = {"knowledgeBaseId": self.base, "modelArn": model, **given}
        return {
            "input": {"text": text},
            "retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE", "knowledgeBaseConfiguration": own},
            **({"sessionId": session} if session else {}),
        }

    def user(self, name: str, *allowed: str) -> Any:
        """A client of a user who may do these things."""
        access = self.server.platform.access
        access.identities.create_user(name)
        access.attachments.put_inline(Kind.USER, name, "own", policy("Allow", [*allowed]))
        key = access.credentials.create_key(name)
        return self.client(aws_access_key_id=key.key_id, aws_secret_access_key=key.secret)


@contextmanager
def _talking(home: Path) -> Iterator[Talking]:
    tokenizer = Tokenizer.open(BUNDLED)

    def say(body: dict[str, Any]) -> list[int]:
        prompt = tokenizer.decode(body["prompt"])
        made.prompts.append(prompt)
        return [*tokenizer.encode(made.says(prompt), begin=False), tokenizer.eos_id]

    with running_server(home) as server, speaking_engine(server.platform, STARTER, say) as engine:
        base = knowledge_base(server.platform, rule_documents(), metadata=rule_metadata())
        made = Talking(server=server, engine=engine, base=base)
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talking]:
    with _talking(tmp_path_factory.mktemp("answers") / "home") as talking:
        yield talking


@pytest.fixture
def talking(whole: Talking) -> Talking:
    whole.says = lambda _prompt: "The application fee is 2,500 dollars [1]. It was raised last year."
    whole.prompts.clear()
    return whole


def uris(found: list[dict[str, Any]]) -> list[str]:
    return [each["location"]["s3Location"]["uri"] for each in found]


def said(refused: "pytest.ExceptionInfo[ClientError]") -> tuple[str, str]:
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def cited(answer: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The parts of an answer, each with the rules that it refers to."""
    return [
        (
            part["generatedResponsePart"]["textResponsePart"]["text"],
            [uri.rpartition("/")[2].removesuffix(".txt") for uri in uris(part["retrievedReferences"])],
        )
        for part in answer["citations"]
    ]


def test_passages_are_retrieved_with_their_place_score_and_attributes(talking: Talking) -> None:
    best, *_ = talking.retrieve("How much is the fee of an application for membership?")
    assert best["content"]["type"] == "TEXT"
    assert "2,500 dollars" in best["content"]["text"]
    assert best["location"] == {"type": "S3", "s3Location": {"uri": "s3://rules/1.1.txt"}}
    assert 0 < best["score"] <= 1
    assert best["metadata"]["chapter"] == 1
    assert best["metadata"]["x-amz-bedrock-kb-source-uri"] == "s3://rules/1.1.txt"
    assert {"x-amz-bedrock-kb-chunk-id", "x-amz-bedrock-kb-data-source-id"} <= best["metadata"].keys()


def test_five_passages_come_unless_another_number_is_wanted(talking: Talking) -> None:
    assert len(talking.retrieve("member")) == 5
    assert len(talking.retrieve("member", numberOfResults=2)) == 2
    assert len(talking.retrieve("member shall the", numberOfResults=100)) > 10


def test_filters_hold_for_every_passage(talking: Talking) -> None:
    only = {
        "andAll": [{"greaterThanOrEquals": {"key": "chapter", "value": 3}}, {"in": {"key": "chapter", "value": [3, 4]}}]
    }
    found = talking.retrieve("member customer company share", numberOfResults=50, filter=only)
    assert {each["metadata"]["chapter"] for each in found} == {3, 4}
    assert talking.retrieve("member", filter={"equals": {"key": "chapter", "value": 99}}) == []


def test_pages_go_on_where_the_one_before_ended(talking: Talking) -> None:
    pages = (
        talking.client()
        .get_paginator("retrieve")
        .paginate(
            knowledgeBaseId=talking.base,
            retrievalQuery={"text": "member exchange"},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 4}},
        )
    )
    several = [uris(page["retrievalResults"]) for page in pages]
    assert len(several) > 2
    together = [uri for page in several for uri in page]
    assert together == uris(talking.retrieve("member exchange", numberOfResults=100))


def test_a_query_of_twenty_thousand_characters_is_taken(talking: Talking) -> None:
    text = ("What is the initial margin of a purchase of shares? " * 400)[:20_000]
    assert "s3://rules/3.6.txt" in uris(talking.retrieve(text))


def test_what_is_not_built_is_refused_by_its_name(talking: Talking) -> None:
    client = talking.client()
    query = {"retrievalQuery": {"text": "fee"}, "knowledgeBaseId": talking.base}
    with pytest.raises(ClientError, match="The guardrail g was not found"):
        client.retrieve(**query, guardrailConfiguration={"guardrailId": "g", "guardrailVersion": "1"})
    implicit = {"metadataAttributes": [{"key": "a", "type": "STRING", "description": "b"}], "modelArn": MODEL}
    with pytest.raises(ClientError, match="implicitFilterConfiguration: filters that a model makes"):
        talking.retrieve("fee", implicitFilterConfiguration=implicit)
    image = {"type": "IMAGE", "image": {"format": "png", "inlineContent": b"x"}}
    with pytest.raises(ClientError, match="only text is searched for"):
        client.retrieve(knowledgeBaseId=talking.base, retrievalQuery=image)
    with pytest.raises(ClientError) as unknown:
        client.retrieve(knowledgeBaseId="NOSUCHBASE", retrievalQuery={"text": "fee"})
    assert said(unknown) == ("ResourceNotFoundException", "Knowledge Base with id NOSUCHBASE does not exist.")


def test_an_answer_tells_what_each_sentence_stands_on(talking: Talking) -> None:
    answer = talking.asked("How much does an application for membership cost?")
    assert answer["output"]["text"] == "The application fee is 2,500 dollars. It was raised last year."
    assert cited(answer) == [("The application fee is 2,500 dollars. ", ["1.1"]), ("It was raised last year.", [])]
    first, second = (part["generatedResponsePart"]["textResponsePart"]["span"] for part in answer["citations"])
    assert (first, second) == ({"start": 0, "end": 37}, {"start": 38, "end": 61})
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert (headers["x-outcrop-answering"], headers["x-outcrop-supported"]) == ("generative", "0.50")
    assert "[1] An applicant for membership shall file" in talking.prompts[0]
    assert "Question: How much does an application for membership cost?" in talking.prompts[0]


def test_a_stream_tells_text_as_it_is_made_and_each_citation_behind_its_sentence(talking: Talking) -> None:
    answer = talking.client().retrieve_and_generate_stream(**talking.question("What is the application fee?"))
    text, places = "", list[int]()
    for event in answer["stream"]:
        if "output" in event:
            text += event["output"]["text"]
            continue
        citation = event["citation"]
        part = citation["generatedResponsePart"]["textResponsePart"]
        assert citation["citation"]["generatedResponsePart"]["textResponsePart"] == part
        assert text[part["span"]["start"] : part["span"]["end"] + 1] == part["text"]
        places.append(len(citation["retrievedReferences"]))
    assert text == "The application fee is 2,500 dollars. It was raised last year."
    assert places == [1, 0]
    again = talking.asked("And is it refundable?", session=answer["sessionId"])
    assert again["sessionId"] == answer["sessionId"]


def test_a_talk_is_gone_on_with_and_its_question_made_to_stand_alone(talking: Talking) -> None:
    first = talking.asked("How much is the application fee?")
    talking.prompts.clear()
    talking.says = lambda prompt: (
        "Is the application fee refundable?" if "Below is a conversation" in prompt else "It is not refundable [1]."
    )
    second = talking.asked("Is it refundable?", session=first["sessionId"])
    rewriting, generating = talking.prompts
    assert "User: How much is the application fee?" in rewriting
    assert "Question: Is the application fee refundable?" in generating
    assert "The application fee is 2,500 dollars. It was raised last year." in generating
    assert second["sessionId"] == first["sessionId"]
    assert cited(second) == [("It is not refundable.", ["1.1"])]


def test_a_question_is_divided_where_that_is_asked_for(talking: Talking) -> None:
    talking.says = lambda prompt: (
        "1. What is the initial margin?\n2. When is the annual report due?"
        if "Divide the question" in prompt
        else "The initial margin is 50 percent. The annual report is due within 90 days after the end of the financial year."
    )
    transformation = {"queryTransformationConfiguration": {"type": "QUERY_DECOMPOSITION"}}
    answer = talking.asked(
        "What is the initial margin and when is the annual report due?", orchestrationConfiguration=transformation
    )
    assert [rules for _, rules in cited(answer)] == [["3.6"], ["4.2"]]


def test_ones_own_templates_are_used(talking: Talking) -> None:
    template = {"textPromptTemplate": "At $current_time$: $search_results$ | $query$"}
    answer = talking.asked(
        "What is the tick size of shares below 1 dollar?",
        generationConfiguration={"promptTemplate": template, **GENERATIVE},
    )
    assert talking.prompts[0].startswith("At 20")
    assert "Behind each sentence" not in talking.prompts[0]
    # The model was asked for no marks, so what looks like one is its text.
    assert answer["output"]["text"] == "The application fee is 2,500 dollars [1]. It was raised last year."


def test_settings_reach_the_model_and_conflicts_are_refused(talking: Talking) -> None:
    fields = {"outcrop_answering": "generative", "top_k": 7}
    config = {"textInferenceConfig": {"temperature": 0.25, "topP": 0.5, "maxTokens": 5, "stopSequences": ["fee"]}}
    answer = talking.asked(
        "What is the fee?",
        generationConfiguration={"inferenceConfig": config, "additionalModelRequestFields": fields},
    )
    assert answer["output"]["text"] == "The application"
    sent = talking.engine.requests[-1]
    assert (sent["temperature"], sent["top_p"], sent["top_k"], sent["max_tokens"]) == (0.25, 0.5, 7, 5)
    with pytest.raises(ClientError) as refused:
        talking.asked(
            "What is the fee?",
            generationConfiguration={"inferenceConfig": config, "additionalModelRequestFields": {"temperature": 1}},
        )
    assert said(refused)[1].startswith(
        "retrieveAndGenerateConfiguration.knowledgeBaseConfiguration.generationConfiguration: temperature is given twice"
    )
    with pytest.raises(ClientError, match="extraneous key \\[wisdom\\] is not permitted"):
        talking.asked(
            "What is the fee?",
            generationConfiguration={"additionalModelRequestFields": {"wisdom": 1, "outcrop_answering": "generative"}},
        )


def test_nothing_found_is_told_in_bedrocks_words(talking: Talking) -> None:
    nothing = {"vectorSearchConfiguration": {"filter": {"equals": {"key": "chapter", "value": 99}}}}
    answer = talking.asked("What is the fee?", retrievalConfiguration=nothing)
    assert answer["output"]["text"] == NOTHING_FOUND
    assert cited(answer) == [(NOTHING_FOUND, [])]
    assert talking.prompts == []
    talking.says = lambda _prompt: "  \n "
    assert talking.asked("What is the fee?")["output"]["text"] == NOTHING_FOUND


def test_an_empty_knowledge_base_answers_too(talking: Talking) -> None:
    empty = knowledge_base(talking.server.platform, {}, name="empty")
    client = talking.client()
    assert client.retrieve(knowledgeBaseId=empty, retrievalQuery={"text": "fee"})["retrievalResults"] == []
    question = talking.question("What is the fee?")
    question["retrieveAndGenerateConfiguration"]["knowledgeBaseConfiguration"]["knowledgeBaseId"] = empty
    assert client.retrieve_and_generate(**question)["output"]["text"] == NOTHING_FOUND


@pytest.mark.parametrize("model", [MODEL, EXTRACTS])
def test_a_model_too_small_to_answer_gives_way_to_extracts_which_are_told_as_such(talking: Talking, model: str) -> None:
    answer = talking.asked("What is the initial margin?", model=model, generationConfiguration={})
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-answering"] == "extractive"
    assert cited(answer)[0] == ("The initial margin of a purchase of shares is 50 percent of their value.", ["3.6"])
    assert talking.prompts == []
    follow = talking.asked(
        "And of the maintenance?", model=model, session=answer["sessionId"], generationConfiguration={}
    )
    assert "The maintenance margin is 25 percent." in follow["output"]["text"]


def custom_model(house: House, engine: EngineDouble) -> str:
    """The ARN of a deployment of a custom model, with files that nobody will load."""
    arn = custom_models.new_arn("us-east-1", house.account, house.catalog.usable(STARTER))
    folder = house.models.folder(arn)
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    document = {
        "baseId": STARTER,
        "promptFormat": "text",
        "promptDay": None,
        "customizationType": "FINE_TUNING",
    }
    house.models.add(model_arn=arn, name="tuned", region="us-east-1", created=house.clock.now(), document=document)
    engine.adapters.add(arn)
    details = {"description": None}
    row = house.deployments.create(
        ON_DEMAND, name="tuned", region="us-east-1", account=house.account, model_arn=arn, details=details
    )
    house.deployments.serve(row)
    return row.arn


def test_a_custom_model_answers_by_its_deployment_however_small_it_is(talking: Talking) -> None:
    deployment = custom_model(talking.server.platform, talking.engine)
    answer = talking.asked("How much is the application fee?", model=deployment, generationConfiguration={})
    assert answer["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-answering"] == "generative"
    assert ":custom-model/" in talking.engine.requests[-1]["model"]
    assert cited(answer)[0] == ("The application fee is 2,500 dollars. ", ["1.1"])
    fields = {"additionalModelRequestFields": {"outcrop_answering": "extractive"}}
    extracts = talking.asked("How much is the application fee?", model=deployment, generationConfiguration=fields)
    assert extracts["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-answering"] == "extractive"


def test_a_model_that_is_not_there_is_told_in_bedrocks_words(talking: Talking) -> None:
    for model in ("arn:aws:bedrock:us-east-1::foundation-model/nobody.knows-v1", "amazon.rerank-v1:0"):
        with pytest.raises(ClientError) as refused:
            talking.asked("What is the fee?", model=model)
        assert said(refused)[0] in ("ValidationException", "ResourceNotFoundException")
    with pytest.raises(ClientError, match=r"outcrop.extractive-v1 writes nothing"):
        talking.asked("What is the fee?", model=EXTRACTS)


def test_two_talks_at_once_do_not_mix(talking: Talking) -> None:
    talking.says = lambda prompt: "Margin." if "margin" in prompt.rpartition("Question:")[2].lower() else "Fee."
    questions = [("What is the fee?", "Fee."), ("What is the margin?", "Margin.")] * 4

    def talk(question: tuple[str, str]) -> None:
        client = talking.client()
        first = talking.asked(question[0], client=client)
        second = talking.asked(question[0], session=first["sessionId"], client=client)
        assert (first["output"]["text"], second["output"]["text"]) == (question[1], question[1])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(talk, questions))


def test_a_session_is_its_owners_alone(talking: Talking) -> None:
    ada = talking.user("ada", "bedrock:*")
    bob = talking.user("bob", "bedrock:*")
    first = talking.asked("What is the fee?", client=ada)
    with pytest.raises(ClientError) as refused:
        talking.asked("And now?", session=first["sessionId"], client=bob)
    assert said(refused)[0] == "ValidationException"
    assert said(refused)[1].startswith(f"Session with Id {first['sessionId']} is not valid.")
    assert talking.asked("And is it refundable?", session=first["sessionId"], client=ada)["sessionId"]


@pytest.mark.parametrize(
    ("missing", "operation"),
    [
        ("bedrock:Retrieve", "retrieve"),
        ("bedrock:Retrieve", "retrieve_and_generate"),
        ("bedrock:RetrieveAndGenerate", "retrieve_and_generate"),
        ("bedrock:InvokeModel", "retrieve_and_generate"),
        ("bedrock:RetrieveAndGenerate", "retrieve_and_generate_stream"),
    ],
)
def test_each_permission_is_needed(talking: Talking, missing: str, operation: str) -> None:
    everything = ("bedrock:Retrieve", "bedrock:RetrieveAndGenerate", "bedrock:InvokeModel")
    client = talking.user(
        f"without-{operation}-{missing.rpartition(':')[2]}", *(each for each in everything if each != missing)
    )
    query = {"knowledgeBaseId": talking.base, "retrievalQuery": {"text": "fee"}}
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**(query if operation == "retrieve" else talking.question("What is the fee?")))
    code, sentence = said(refused)
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: {missing} " in sentence


def external(text: str, source: dict[str, Any], **generation: Any) -> dict[str, Any]:
    own = {"modelArn": MODEL, "sources": [source], "generationConfiguration": generation or GENERATIVE}
    return {
        "input": {"text": text},
        "retrieveAndGenerateConfiguration": {"type": "EXTERNAL_SOURCES", "externalSourcesConfiguration": own},
    }


def bytes_source(content: bytes, content_type: str = "text/plain", name: str = "notes.txt") -> dict[str, Any]:
    given = {"identifier": name, "contentType": content_type, "data": content}
    return {"sourceType": "BYTE_CONTENT", "byteContent": given}


def test_a_document_that_comes_with_the_question_is_read_and_cited(talking: Talking) -> None:
    talking.says = lambda _prompt: "The lighthouse was built in 1874 [1]."
    source = bytes_source(b"# History\n\nThe lighthouse was built in 1874.\n\nIt has 212 steps.\n", "text/markdown")
    answer = talking.client().retrieve_and_generate(**external("When was the lighthouse built?", source))
    reference = answer["citations"][0]["retrievedReferences"][0]
    assert reference["location"] == {"type": "CUSTOM", "customDocumentLocation": {"id": "notes.txt"}}
    assert "1874" in reference["content"]["text"]
    extracts = external("How many steps are there?", source, additionalModelRequestFields={"top_k": 1})
    assert talking.client().retrieve_and_generate(**extracts)["output"]["text"] == "It has 212 steps."


def test_an_object_is_read_under_the_rights_of_the_caller(talking: Talking) -> None:
    talking.says = lambda _prompt: "The bridge is 300 metres long [1]."
    buckets = talking.server.platform.buckets
    buckets.create("papers", "us-east-1")
    buckets.put_bytes("papers", "in/bridge.txt", b"The bridge is 300 metres long.")
    question = external(
        "How long is the bridge?", {"sourceType": "S3", "s3Location": {"uri": "s3://papers/in/bridge.txt"}}
    )
    answer = talking.client().retrieve_and_generate(**question)
    reference = answer["citations"][0]["retrievedReferences"][0]
    assert reference["location"] == {"type": "S3", "s3Location": {"uri": "s3://papers/in/bridge.txt"}}
    carl = talking.user("carl", "bedrock:*")
    with pytest.raises(ClientError, match="is not authorized to perform: s3:GetObject on resource: "):
        carl.retrieve_and_generate(**question)
    question["retrieveAndGenerateConfiguration"]["externalSourcesConfiguration"]["sources"][0]["s3Location"]["uri"] += (
        "x"
    )
    with pytest.raises(ClientError, match=r"s3://papers/in/bridge.txtx: cannot be read \("):
        talking.client().retrieve_and_generate(**question)


def test_an_object_under_a_key_of_kms_asks_for_that_too(talking: Talking) -> None:
    talking.says = lambda _prompt: "The bridge is 300 metres long [1]."
    s3 = talking.server.client("s3")
    key = talking.server.client("kms").create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="sealed-papers")
    sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="sealed-papers", Key="bridge.txt", Body=b"The bridge is 300 metres long.", **sealed)
    source = {"sourceType": "S3", "s3Location": {"uri": "s3://sealed-papers/bridge.txt"}}
    client = talking.user("keyless", "bedrock:*", "s3:*")
    with pytest.raises(ClientError) as refused:
        client.retrieve_and_generate(**external("How long is the bridge?", source))
    code, sentence = said(refused)
    assert (code, "kms:Decrypt" in sentence) == ("AccessDeniedException", True)
    answer = talking.client().retrieve_and_generate(**external("How long is the bridge?", source))
    assert "300 metres" in answer["citations"][0]["retrievedReferences"][0]["content"]["text"]


@pytest.mark.parametrize(
    ("content", "content_type", "sentence"),
    [
        (b"   \n", "text/plain", "notes.txt: "),
        (b"%PDF-1.4 broken", "application/pdf", "notes.txt: "),
        (b"PK\x03\x04 broken", "application/zip", "notes.txt: "),
        (b"\x89PNG\r\n\x1a\n", "image/png", "a picture"),
    ],
)
def test_a_document_without_text_is_refused_with_its_reason(
    talking: Talking, content: bytes, content_type: str, sentence: str
) -> None:
    with pytest.raises(ClientError) as refused:
        talking.client().retrieve_and_generate(**external("What is it?", bytes_source(content, content_type)))
    assert said(refused)[0] == "ValidationException"
    assert sentence in said(refused)[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": {"text": " "}}, "input.text: blank. Ask something."),
        ({"retrieveAndGenerateConfiguration": {"type": "KNOWLEDGE_BASE"}}, "knowledgeBaseConfiguration: missing"),
        (
            {"sessionConfiguration": {"kmsKeyArn": f"arn:aws:kms:us-east-1:123456789012:key/{'a' * 36}"}},
            "sessionConfiguration.kmsKeyArn: encryption by a key of one's own is not built",
        ),
        ({"sessionId": "chosen-by-me"}, "Session with Id chosen-by-me is not valid."),
    ],
)
def test_a_request_that_cannot_be_is_refused_in_a_sentence(
    talking: Talking, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ClientError) as refused:
        talking.client().retrieve_and_generate(**{**talking.question("What is the fee?"), **change})
    assert said(refused)[0] == "ValidationException"
    assert sentence in said(refused)[1]


def test_an_invocation_is_logged_counted_and_kept_in_the_audit(talking: Talking) -> None:
    server = talking.server
    server.client("logs").create_log_group(logGroupName="answers")
    role = server.installation.service_role_arn
    name = role.rpartition("/")[2]
    server.platform.access.attachments.put_inline(Kind.ROLE, name, "logs", policy("Allow", "logs:*"))
    server.client("bedrock").put_model_invocation_logging_configuration(
        loggingConfig={
            "cloudWatchConfig": {"logGroupName": "answers", "roleArn": role},
            "textDataDeliveryEnabled": True,
        }
    )
    try:
        talking.asked("What is the fee?")
    finally:
        server.platform.invocation_logs.flush()
        server.client("bedrock").delete_model_invocation_logging_configuration()
    events = server.client("logs").filter_log_events(logGroupName="answers")["events"]
    record = json.loads(events[-1]["message"])
    assert (record["operation"], record["modelId"]) == ("RetrieveAndGenerate", MODEL)
    assert record["input"]["inputTokenCount"] > 50
    assert record["output"]["outputTokenCount"] > 5


def test_records_made_from_retrieval_hold_the_prompt_that_is_served(talking: Talking, tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    rows = [{"question": answer.question, "answer": answer.text} for answer in ANSWERS[:6]]
    rows.append({"question": "Who won the cup?", "answer": "The team in blue won the cup in extra time."})
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    items = [*grounded([file], ground=grounding(talking.client(), talking.base, 5))]
    *kept, dropped = items
    assert isinstance(dropped, Dropped)
    for row, item in zip(rows, kept, strict=False):
        assert isinstance(item, Kept)
        talking.prompts.clear()
        talking.asked(row["question"])
        assert talking.prompts == [item.record["prompt"]]
        assert item.group.startswith("s3://rules/")
    assert "[1]" in "".join(str(item.record["completion"]) for item in kept if isinstance(item, Kept))


def test_text_goes_out_while_the_model_still_writes_and_a_reader_who_leaves_ends_it(talking: Talking) -> None:
    talking.engine.pause_after = 6
    try:
        answer = talking.client().retrieve_and_generate_stream(**talking.question("What is the application fee?"))
        first = next(iter(answer["stream"]))
        assert "The application fee".startswith(first["output"]["text"].strip()[:3])
        answer["stream"].close()
        eventually(talking.engine.hung_up.is_set)
    finally:
        talking.engine.pause_after = None
    # What nobody heard to its end is no turn of a talk.
    with pytest.raises(ClientError, match="is not valid"):
        talking.asked("And now?", session=answer["sessionId"])


def test_an_engine_that_dies_in_the_middle_ends_a_stream_with_an_error_and_an_answer_begins_anew(
    talking: Talking,
) -> None:
    talking.engine.die_after = [8]
    answer = talking.client().retrieve_and_generate_stream(**talking.question("What is the application fee?"))
    with (
        closing(answer["stream"]) as stream,
        pytest.raises(EventStreamError, match="The engine went away in the middle of the answer"),
    ):
        list(stream)
    talking.engine.die_after = [8]
    assert talking.asked("What is the application fee?")["output"]["text"].startswith("The application fee is 2,500")


def test_an_answer_counts_against_the_quotas_of_its_caller(talking: Talking) -> None:
    quotas = talking.server.platform.quotas
    dora = talking.user("dora", "bedrock:*")
    quotas.set(Quota(scope=Scope.USER, name="dora", requests_per_minute=1))
    try:
        assert talking.asked("What is the fee?", client=dora)
        with pytest.raises(ClientError) as refused:
            talking.asked("What is the fee?", client=dora)
        assert said(refused)[0] == "ThrottlingException"
    finally:
        quotas.remove(Scope.USER, "dora")
