"""Ratings by people in Bedrock's form, read back as its pages describe them."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.human_ratings import (
    METHODS,
    ComparativeLikert,
    HumanAnswer,
    LikertRating,
    RatedMetric,
    RatedRecord,
    RatedResponse,
    Rating,
    RatingMethod,
    ResponseChoice,
    ResponseRanks,
    Thumb,
    write_lines,
)

FLOW = "arn:aws:sagemaker:us-east-1:123456789012:flow-definition/blind"
BEGAN = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
METRICS = (
    RatedMetric(name="Accuracy", method=RatingMethod.THUMBS, description="Is it true?"),
    RatedMetric(name="Tone", method=RatingMethod.LIKERT),
    RatedMetric(name="Coherence", method=RatingMethod.COMPARATIVE_LIKERT),
    RatedMetric(name="Fluency", method=RatingMethod.CHOICE),
    RatedMetric(name="Order", method=RatingMethod.RANK),
)
EVERY_RATING: tuple[Rating, ...] = (
    Thumb(metric="Accuracy", response=0, up=True),
    Thumb(metric="Accuracy", response=1, up=False),
    LikertRating(metric="Tone", response=1, value=4),
    ComparativeLikert(metric="Coherence", left=1, right=0, value=3),
    ResponseChoice(metric="Fluency", response=1),
    ResponseRanks(metric="Order", ranks=(2, 1)),
)


def rated(*ratings: Rating, submitted: datetime = BEGAN + timedelta(seconds=22.574)) -> RatedRecord:
    answer = HumanAnswer(worker="bob", accepted=BEGAN, submitted=submitted, ratings=ratings)
    return RatedRecord(
        prompt="首都は?",
        responses=(RatedResponse(model="base", text="京都"), RatedResponse(model="custom", text="東京")),
        answers=(answer,),
        reference="東京",
        category="Asia",
    )


def test_a_line_has_every_rating_under_its_method() -> None:
    content = write_lines([rated(*EVERY_RATING)], METRICS, flow_definition_arn=FLOW, instructions="Be fair.")

    [line] = [json.loads(each) for each in content.splitlines()]
    result = line["humanEvaluationResult"]
    assert line["inputRecord"] == {"prompt": "首都は?", "category": "Asia", "referenceResponse": "東京"}
    assert line["modelResponses"] == [
        {"modelIdentifier": "base", "response": "京都"},
        {"modelIdentifier": "custom", "response": "東京"},
    ]
    assert result["flowDefinitionArn"] == FLOW
    assert result["modelResponseIdMap"] == {"0": "base", "1": "custom"}
    assert result["inputContent"]["instructions"] == "Be fair."
    assert result["inputContent"]["evaluationMetrics"][0] == {
        "description": "Is it true?",
        "metricName": "Accuracy",
        "ratingMethod": "ThumbsUpDown",
    }
    [answer] = result["humanAnswers"]
    assert (answer["acceptanceTime"], answer["submissionTime"], answer["timeSpentInSeconds"]) == (
        "2026-03-01T09:00:00.000Z",
        "2026-03-01T09:00:22.574Z",
        22.574,
    )
    assert answer["workerId"] == "bob"
    assert answer["answerContent"]["evaluationResults"] == {
        "thumbsUpDown": [
            {"metricName": "Accuracy", "modelResponseId": "0", "result": True},
            {"metricName": "Accuracy", "modelResponseId": "1", "result": False},
        ],
        "individualLikertScale": [{"metricName": "Tone", "modelResponseId": "1", "result": 4}],
        "comparisonLikertScale": [
            {"leftModelResponseId": "1", "metricName": "Coherence", "result": 3, "rightModelResponseId": "0"}
        ],
        "comparisonChoice": [{"metricName": "Fluency", "result": {"modelResponseId": "1"}}],
        "comparisonRank": [
            {
                "metricName": "Order",
                "result": [{"modelResponseId": "0", "rank": 2}, {"modelResponseId": "1", "rank": 1}],
            }
        ],
    }


def test_a_record_keeps_the_name_of_its_loop() -> None:
    def name(record: RatedRecord) -> str:
        line = json.loads(write_lines([record], METRICS, flow_definition_arn=FLOW))
        return str(line["humanEvaluationResult"]["humanLoopName"])

    assert len(name(rated())) == 40
    assert name(rated()) == name(rated(*EVERY_RATING))


def test_every_method_has_a_rating_of_its_own() -> None:
    assert sorted(METHODS.values()) == sorted(RatingMethod)


def test_no_records_are_no_lines() -> None:
    assert write_lines([], METRICS, flow_definition_arn=FLOW) == b""


@pytest.mark.parametrize(
    ("rating", "problem"),
    [
        (Thumb(metric="Truth", response=0, up=True), "Truth is no metric that is rated by ThumbsUpDown"),
        (Thumb(metric="Tone", response=0, up=True), "Tone is no metric that is rated by ThumbsUpDown"),
        (ResponseChoice(metric="Fluency", response=2), "Fluency: response 2 was not shown"),
        (ResponseChoice(metric="Fluency", response=-1), "Fluency: response -1 was not shown"),
        (LikertRating(metric="Tone", response=0, value=6), "Tone: 6 is no point of the scale. Give 1 to 5."),
        (ComparativeLikert(metric="Coherence", left=0, right=1, value=0), "Coherence: 0 is no point of the scale"),
        (ComparativeLikert(metric="Coherence", left=1, right=1, value=3), "response 1 is compared with itself"),
        (ResponseRanks(metric="Order", ranks=(1,)), "Order: ranks [1] of 2 responses"),
        (ResponseRanks(metric="Order", ranks=(0, 1)), "Order: ranks [0, 1] of 2 responses"),
    ],
)
def test_a_rating_that_cannot_be_is_refused(rating: Rating, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        write_lines([rated(*EVERY_RATING), rated(rating)], METRICS, flow_definition_arn=FLOW)

    assert refused.value.message.startswith("record 2, bob")
    assert problem in refused.value.message


@pytest.mark.parametrize(
    ("submitted", "problem"),
    [
        (BEGAN - timedelta(seconds=1), "submitted before it was accepted"),
        (datetime(2026, 3, 1, 10, 0), "a time without its zone"),
    ],
)
def test_times_that_cannot_be_are_refused(submitted: datetime, problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        write_lines([rated(submitted=submitted)], METRICS, flow_definition_arn=FLOW)
