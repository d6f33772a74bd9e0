"""Evaluation jobs from their records to their output, with an engine that answers in words."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from outcrop.access.installation import TRUST
from outcrop.access.names import Kind
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.errors import Invalid
from tests.support.evaluation_house import (
    BASE,
    EvaluationHouse,
    asked_questions,
    automated,
    evaluation_house,
    judged_by,
    models,
    values,
)
from tests.support.knowledge_bases import stand_behind_titan
from tests.support.openai_double import openai_double
from tests.support.policies import policy
from tests.support.speaking_engine import speaking_engine
from tests.support.tiny_encoders import tiny_encoder

CAPITALS = (
    {"prompt": "The capital of Japan?", "referenceResponse": "Tokyo", "category": "Asia"},
    {"prompt": "The capital of France?", "referenceResponse": "Paris", "category": "Europe"},
    {"prompt": "The capital of Chad?", "referenceResponse": "N'Djamena"},
)


def says(prompt: str) -> str:
    """Capitals of the countries it knows; of a judge, what the question says it shall answer."""
    if "You judge" in prompt or "Rate it" in prompt:
        asked = prompt.partition("<question>")[2] or prompt
        if "unclear" in asked:
            return "I would rather not say."
        return "Reason enough.\nGrade: " + ("correct" if "<answer>\nTokyo" in prompt else "incorrect")
    return {"Japan": "Tokyo", "JAPAN": "Tokyo", "France": "the capital is Paris", "japan": "Tokyo"}.get(
        next((each for each in ("Japan", "JAPAN", "France", "japan") if each in prompt), ""),
        "I am not sure, you idiot.",
    )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluationHouse]:
    with evaluation_house(tmp_path_factory.mktemp("evaluations") / "home", says) as made:
        made.put("capitals.jsonl", *CAPITALS)
        yield made


def test_computed_metrics_are_written_as_bedrock_writes_them(house: EvaluationHouse) -> None:
    job = house.create(automated("capitals.jsonl", "Builtin.Accuracy", "Builtin.Toxicity"))
    ended = house.work(job)
    assert (ended.status, ended.document.get("failureMessage")) == ("Completed", None)

    (key,) = [each for each in house.keys(job) if each.endswith(".jsonl")]
    assert key.startswith(f"models/{BASE}/taskTypes/QuestionAndAnswer/datasets/questions/")
    first, second, third = house.lines(job)
    assert first["inputRecord"] == CAPITALS[0]
    assert first["modelResponses"] == [
        {"response": "Tokyo", "modelIdentifier": f"arn:aws:bedrock:us-east-1::foundation-model/{BASE}"}
    ]
    assert values(first) == {"Accuracy": 1.0, "Toxicity": 0.0}
    assert values(second) == {"Accuracy": pytest.approx(0.5), "Toxicity": 0.0}  # F1 of "capital is paris"
    assert values(third) == {"Accuracy": 0.0, "Toxicity": 1.0}
    told = house.metrics(job)
    assert told["Builtin.Accuracy"]["mean"] == pytest.approx(0.5)
    assert told["Builtin.Accuracy"]["beside"]["exact_match"]["mean"] == pytest.approx(1 / 3)
    assert told["Builtin.Accuracy"]["categories"]["Asia"]["mean"] == 1.0
    assert "no model judges it" in told["Builtin.Toxicity"]["computedBy"]


@pytest.mark.parametrize(
    ("task", "accuracy", "told"),
    [
        ("Classification", [1.0, 1.0, 0.0], "label"),
        ("Summarization", [1.0, 0.4, 0.0], "ROUGE-L, in the place of BERTScore"),
        ("Generation", [1.0, 1.0, 0.0], "in the place of a real world knowledge score"),
    ],
)
def test_accuracy_goes_by_the_task(house: EvaluationHouse, task: str, accuracy: list[float], told: str) -> None:
    job = house.create(automated("capitals.jsonl", "Builtin.Accuracy", task=task))
    assert house.work(job).status == "Completed"
    assert [values(line)["Accuracy"] for line in house.lines(job)] == pytest.approx(accuracy)
    assert told in house.metrics(job)["Builtin.Accuracy"]["computedBy"]


def test_robustness_asks_disturbed_prompts_and_tells_what_is_lost(house: EvaluationHouse) -> None:
    house.engine.requests.clear()
    job = house.create(automated("capitals.jsonl", "Builtin.Robustness"))
    assert house.work(job).status == "Completed"
    assert len(house.engine.requests) > 9  # each prompt as it is, and disturbed in several ways
    first, _, third = house.lines(job)
    assert 0 <= values(first)["Robustness"] <= 100
    assert values(third) == {}
    (ungraded,) = third["automatedEvaluationResult"]["outcropUngraded"]
    assert ungraded["metricName"] == "Robustness"
    assert "nothing to lose" in ungraded["explanation"]
    assert house.metrics(job)["Builtin.Robustness"]["numUngraded"] == 1


def test_a_judges_grades_are_read_and_what_cannot_be_read_is_told(house: EvaluationHouse) -> None:
    house.put(
        "judged.jsonl",
        {"prompt": "The capital of Japan?"},
        {"prompt": "The capital of France?"},
        {"prompt": "The capital of an unclear country?"},
    )
    evaluation = automated("judged.jsonl", "Builtin.Correctness", task="General", evaluatorModelConfig=judged_by(BASE))
    job = house.create(evaluation)
    assert house.work(job).status == "Completed"

    first, second, third = house.lines(job)
    judge = f"arn:aws:bedrock:us-east-1::foundation-model/{BASE}"
    assert first["automatedEvaluationResult"] == {
        "scores": [
            {
                "metricName": "Builtin.Correctness",
                "result": 1.0,
                "evaluatorDetails": [{"modelIdentifier": judge, "explanation": "Reason enough."}],
            }
        ]
    }
    assert values(second) == {"Builtin.Correctness": 0.0}
    assert third["automatedEvaluationResult"]["scores"] == []
    (ungraded,) = third["automatedEvaluationResult"]["outcropUngraded"]
    assert ungraded["evaluatorDetails"][0]["explanation"].endswith("The judge said: I would rather not say.")
    told = house.metrics(job)["Builtin.Correctness"]
    assert (told["numGraded"], told["numUngraded"], told["numUnreadableGrades"]) == (2, 1, 1)
    assert (told["mean"], told["judge"]) == (0.5, judge)
    assert told["judgeAgreesWithItself"] | {"meaning": ""} == {"share": 1.0, "numPairs": 2, "meaning": ""}


def test_customers_metrics_keep_their_own_scale_and_lie_beside_the_output(house: EvaluationHouse) -> None:
    scale = [
        {"definition": "incorrect", "value": {"floatValue": 1.0}},
        {"definition": "correct", "value": {"floatValue": 5.0}},
    ]
    definition = {"name": "stars", "instructions": "Rate it. <answer>\n{{prediction}}", "ratingScale": scale}
    custom = {
        "customMetrics": [{"customMetricDefinition": definition}],
        "evaluatorModelConfig": judged_by(BASE),
    }
    job = house.create(automated("capitals.jsonl", "stars", task="Custom", customMetricConfig=custom))
    assert house.work(job).status == "Completed"
    assert [values(line)["stars"] for line in house.lines(job)] == [5.0, 1.0, 1.0]
    (kept,) = house.lines(job, holding="custom_metrics/stars.json")
    assert kept == {
        "customMetricDefinition": {
            "metricName": "stars",
            "instructions": definition["instructions"],
            "ratingScale": scale,
        }
    }


def test_answers_that_were_brought_are_graded_and_nobody_is_asked_for_them(house: EvaluationHouse) -> None:
    house.put(
        "brought.jsonl",
        *(
            {
                "prompt": "The capital of Japan?",
                "referenceResponse": "Tokyo",
                "modelResponses": [{"response": said, "modelIdentifier": "mine"}],
            }
            for said in ("Tokyo", "Kyoto")
        ),
    )
    house.engine.requests.clear()
    given = {"models": [{"precomputedInferenceSource": {"inferenceSourceIdentifier": "mine"}}]}
    job = house.create(automated("brought.jsonl", "Builtin.Accuracy"), given)
    assert house.work(job).status == "Completed"
    assert house.engine.requests == []
    assert [values(line)["Accuracy"] for line in house.lines(job)] == [1.0, 0.0]
    (key,) = [each for each in house.keys(job) if each.endswith(".jsonl")]
    assert key.startswith("models/mine/taskTypes/")
    assert house.lines(job)[0]["modelResponses"] == [{"response": "Tokyo", "modelIdentifier": "mine"}]


def rag_line(question: str, *, output: dict[str, Any] | None = None, reference: str = "") -> dict[str, Any]:
    turn: dict[str, Any] = {"prompt": {"content": [{"text": question}]}}
    if reference:
        turn["referenceResponses"] = [{"content": [{"text": reference}]}]
    return {"conversationTurns": [turn | ({"output": output} if output else {})]}


def test_passages_that_were_brought_are_graded_one_by_one(house: EvaluationHouse) -> None:
    results = [{"content": {"text": text}} for text in ("Tokyo is the capital.", "Rice is eaten.")]
    output = {"knowledgeBaseIdentifier": "mine", "retrievedResults": {"retrievalResults": results}}
    house.put("passages.jsonl", rag_line("The capital of Japan?", output=output))
    given = {"ragConfigs": [{"precomputedRagSourceConfig": {"retrieveSourceConfig": {"ragSourceIdentifier": "mine"}}}]}
    evaluation = automated(
        "passages.jsonl", "Builtin.ContextRelevance", task="General", evaluatorModelConfig=judged_by(BASE)
    )
    job = house.create(evaluation, given, applicationType="RagEvaluation")
    assert house.work(job).status == "Completed"
    (line,) = house.lines(job, holding="inference_configs/0/datasets/questions/")
    (turn,) = line["conversationTurns"]
    assert turn["output"] == output
    # The judge of this test knows other grades only: both are unreadable, and nothing is invented.
    assert turn["results"] == []
    assert house.metrics(job)["Builtin.ContextRelevance"]["numUnreadableGrades"] == 2


@pytest.mark.parametrize("seen", [b"answer:", b"judge:"])
def test_a_killed_job_goes_on_and_asks_nothing_twice(house: EvaluationHouse, seen: bytes) -> None:
    """Forty answers, a grade for each, and twenty grades once more with the scale turned round."""
    house.put("many.jsonl", *({"prompt": f"{n}: capital of Japan?"} for n in range(40)))
    job = house.create(
        automated("many.jsonl", "Builtin.Correctness", task="General", evaluatorModelConfig=judged_by(BASE))
    )
    journal = house.house.settings.runs / job.rsplit("/", 1)[-1] / "journal.jsonl"
    house.engine.requests.clear()
    assert house.work_until(job, lambda: journal.exists() and journal.read_bytes().count(seen) >= 5)
    with journal.open("ab") as file:
        file.write(b'{"key": "torn')
    kept = {int(line.split(b":")[4]) - 1 for line in journal.read_bytes().splitlines() if b'"answer:' in line}
    house.engine.requests.clear()
    assert house.work(job).status == "Completed"
    assert asked_questions(house.house, house.engine) == {*range(40)} - kept
    assert [values(line)["Builtin.Correctness"] for line in house.lines(job)] == [1.0] * 40
    assert house.metrics(job)["Builtin.Correctness"]["judgeAgreesWithItself"]["numPairs"] == 20
    assert not journal.exists()


def test_a_model_that_answers_nothing_fails_the_job_with_the_reason(house: EvaluationHouse) -> None:
    house.put("long.jsonl", {"prompt": "word " * 4000, "referenceResponse": "x"})
    ended = house.work(house.create(automated("long.jsonl", "Builtin.Accuracy")))
    assert ended.status == "Failed"
    assert ended.document["failureMessage"].startswith(f"{BASE} answered none of 1 prompts: ")


def test_one_prompt_that_cannot_be_asked_costs_itself_alone(house: EvaluationHouse) -> None:
    house.put(
        "mixed.jsonl",
        {"prompt": "word " * 4000, "referenceResponse": "x"},
        {"prompt": "The capital of Japan?", "referenceResponse": "Tokyo"},
    )
    job = house.create(automated("mixed.jsonl", "Builtin.Accuracy"))
    assert house.work(job).status == "Completed"
    first, second = house.lines(job)
    assert (first["modelResponses"], first["automatedEvaluationResult"]["scores"]) == ([], [])
    assert first["outcropError"]
    assert values(second) == {"Accuracy": 1.0}
    assert (house.summary(job)["results"][0]["numRecords"], house.summary(job)["results"][0]["numAnswered"]) == (2, 1)


@pytest.mark.parametrize(
    ("lines", "messages"),
    [
        ([], ["no records. Write one on each line"]),
        ([{"prompt": f"{n}", "referenceResponse": "x"} for n in range(1001)], ["1001 prompts, and an evaluation job"]),
        (
            [{"prompt": "a", "referenceResponse": "b"}, b"{", {"prompt": 5}],
            ["bad.jsonl:2: ", "bad.jsonl:3: prompt: expected a string, found a number"],
        ),
    ],
)
def test_data_that_is_no_data_set_fails_the_job_by_line(
    house: EvaluationHouse, lines: Any, messages: list[str]
) -> None:
    house.put("bad.jsonl", *lines)
    ended = house.work(house.create(automated("bad.jsonl", "Builtin.Accuracy")))
    assert ended.status == "Failed"
    told = ended.document.get("failureMessages") or [ended.document["failureMessage"]]
    for message in messages:
        assert any(message in each for each in told), (message, told)


def test_data_that_lacks_what_the_job_needs_is_named_by_line(house: EvaluationHouse) -> None:
    house.put("lacking.jsonl", rag_line("?", reference="r"), rag_line("??"))
    retrieve = {"retrieveSourceConfig": {"ragSourceIdentifier": "mine"}}
    evaluation = automated(
        "lacking.jsonl", "Builtin.ContextCoverage", task="General", evaluatorModelConfig=judged_by(BASE)
    )
    ended = house.work(house.create(evaluation, {"ragConfigs": [{"precomputedRagSourceConfig": retrieve}]}))
    assert [each.partition("lacking.jsonl:")[2][:60] for each in ended.document["failureMessages"]] == [
        "1: conversationTurns[0].output: missing, and the job asks no",
        "2: referenceResponses: missing, and Builtin.ContextCoverage ",
        "2: conversationTurns[0].output: missing, and the job asks no",
    ]


def test_a_role_that_may_not_ask_the_model_is_refused_at_once(house: EvaluationHouse) -> None:
    identities, attachments = house.house.access.identities, house.house.access.attachments
    role = identities.create_role("reader", trust=json.dumps(TRUST))
    attachments.put_inline(Kind.ROLE, "reader", "s3", policy("Allow", "s3:*"))
    with pytest.raises(Invalid, match="Customer doesn't have permissions to invokeModel"):
        house.create(automated("capitals.jsonl", "Builtin.Accuracy"), roleArn=role.arn)


def test_two_models_have_a_file_each(house: EvaluationHouse) -> None:
    house.house.catalog.alias("other.model-v1", BASE)
    job = house.create(automated("capitals.jsonl", "Builtin.Accuracy"), models(BASE, "other.model-v1"))
    assert house.work(job).status == "Completed"
    assert sorted(each.split("/")[1] for each in house.keys(job) if each.endswith(".jsonl")) == [
        "other.model-v1",
        BASE,
    ]


def test_summaries_are_held_against_their_references_by_an_embedding_model_where_there_is_one(tmp_path: Path) -> None:
    encoder = tiny_encoder(tmp_path / "encoder")
    with evaluation_house(tmp_path / "home", says) as house:
        house.put("capitals.jsonl", *CAPITALS)
        stand_behind_titan(house.house, encoder)
        with speaking_engine(house.house, "local.vectors", lambda _body: []):
            job = house.create(automated("capitals.jsonl", "Builtin.Accuracy", task="Summarization"))
            assert house.work(job).status == "Completed"
        told = house.metrics(job)["Builtin.Accuracy"]
        assert "Cosine of the vectors" in told["computedBy"]
        assert "in the place of BERTScore" in told["computedBy"]
        assert told["beside"]["rouge_l"]["mean"] == pytest.approx(0.466, abs=0.01)
        assert values(house.lines(job)[0])["Accuracy"] == pytest.approx(1.0)


def test_a_judge_on_another_server_is_told_with_its_host_and_asked_only_where_the_role_allows_it(
    house: EvaluationHouse,
) -> None:
    with openai_double(said="It is.\nGrade: correct") as double:
        remote = RemoteModel(api=RemoteApi.OPENAI, url=double.url, model="writer")
        house.house.catalog.register_remote("far.judge-v1", remote)
        evaluation = automated(
            "capitals.jsonl", "Builtin.Correctness", task="General", evaluatorModelConfig=judged_by("far.judge-v1")
        )
        job = house.create(evaluation)
        assert house.work(job).status == "Completed"
        assert house.metrics(job)["Builtin.Correctness"]["mean"] == 1.0
        assert house.summary(job)["sentTo"] == [remote.host]
        assert len(double.bodies) == 6  # three grades, and each again with the scale turned round
        assert all("<answer>" in body["messages"][0]["content"] for body in double.bodies)

        role = house.house.access.identities.create_role("stays", trust=json.dumps(TRUST))
        attachments = house.house.access.attachments
        attachments.put_inline(Kind.ROLE, "stays", "all", policy("Allow", ["s3:*", "bedrock:*"]))
        far = {"StringEquals": {"outcrop:Remote": "true"}}
        attachments.put_inline(Kind.ROLE, "stays", "here", policy("Deny", "bedrock:InvokeModel", "*", **far))
        with pytest.raises(Invalid, match="Customer doesn't have permissions to invokeModel"):
            house.create(evaluation, roleArn=role.arn)
        house.house.catalog.withdraw_remote("far.judge-v1")
