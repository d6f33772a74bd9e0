"""Ratings by people, written in the form of Bedrock's evaluation jobs with human workers: a line for each record.

    write_lines(records, metrics, flow_definition_arn=arn, instructions="Which answer is better?")     # JSON Lines

Whoever shows answers to people (the blind comparison of the console) keeps `RatedRecord`s, and this module makes
Bedrock's lines of them, for whatever reads such output already. A vote between two answers is a `ResponseChoice`; a
choice knows no tie, so a vote that may be one is a `ComparativeLikert` of 1 (the left one by far) to 5 (the right one),
3 being a tie.

AWS's example of a line opens `humanEvaluationResult` as a list and closes it as an object; its table of members, and
SageMaker's page of the same form, have an object, and so have we. Left out is `additionalDataS3Uri`, a file of the
worker portal that AWS runs.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-report-s3.html
https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-foundation-model-evaluate-results-human.html
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from outcrop.errors import Invalid
from outcrop.protocol.values import json_values

_LIKERT = range(1, 6)
"The points of Bedrock's Likert scales."


class RatingMethod(StrEnum):
    """The ways in which people rate, by Bedrock's names."""

    THUMBS = "ThumbsUpDown"
    LIKERT = "IndividualLikertScale"
    COMPARATIVE_LIKERT = "ComparisonLikertScale"
    CHOICE = "ComparisonChoice"
    RANK = "ComparisonRank"

    @property
    def member(self) -> str:
        """The method as it stands in the output: its name with a small letter first."""
        return self.value[0].lower() + self.value[1:]


@dataclass(frozen=True, kw_only=True)
class RatedMetric:
    """A thing that people rate, such as Helpfulness, and how."""

    name: str
    method: RatingMethod
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Thumb:
    """A thumb, up or down, on one answer."""

    metric: str
    response: int
    up: bool


@dataclass(frozen=True, kw_only=True)
class LikertRating:
    """A point of one to five for one answer."""

    metric: str
    response: int
    value: int


@dataclass(frozen=True, kw_only=True)
class ComparativeLikert:
    """A point that says how much better one of two answers is.

    1 is the left one by far, 3 a tie, 5 the right one by far.
    """

    metric: str
    left: int
    right: int
    value: int


@dataclass(frozen=True, kw_only=True)
class ResponseChoice:
    """The answer that was chosen."""

    metric: str
    response: int


@dataclass(frozen=True, kw_only=True)
class ResponseRanks:
    """The rank of each answer, from 1; equal ranks are ties."""

    metric: str
    ranks: tuple[int, ...]


Rating = Thumb | LikertRating | ComparativeLikert | ResponseChoice | ResponseRanks

METHODS: dict[type[Rating], RatingMethod] = {
    Thumb: RatingMethod.THUMBS,
    LikertRating: RatingMethod.LIKERT,
    ComparativeLikert: RatingMethod.COMPARATIVE_LIKERT,
    ResponseChoice: RatingMethod.CHOICE,
    ResponseRanks: RatingMethod.RANK,
}


@dataclass(frozen=True, kw_only=True)
class HumanAnswer:
    """All that one person said of one record's answers."""

    worker: str
    "A name that tells people apart, such as the id of a user."
    accepted: datetime
    "When the answers were shown."
    submitted: datetime
    ratings: tuple[Rating, ...]


@dataclass(frozen=True, kw_only=True)
class RatedResponse:
    """An answer that was shown, and the model that wrote it."""

    model: str
    "Its ARN or id; two answers of one model are two responses."
    text: str


@dataclass(frozen=True, kw_only=True)
class RatedRecord:
    """A question with the answers that were shown, in the order of their numbers, and what people said of them."""

    prompt: str
    responses: tuple[RatedResponse, ...]
    answers: tuple[HumanAnswer, ...]
    reference: str | None = None
    category: str | None = None


def write_lines(
    records: Sequence[RatedRecord],
    metrics: Sequence[RatedMetric],
    *,
    flow_definition_arn: str,
    instructions: str = "",
) -> bytes:
    """The records as Bedrock's JSON Lines. Raises Invalid with every rating that cannot be."""
    problems = [each for number, record in enumerate(records, 1) for each in _problems(record, metrics, number)]
    if problems:
        raise Invalid(" ".join(problems))
    lines = (_line(record, metrics, flow_definition_arn, instructions) for record in records)
    return b"".join(json_values.dumps(line) + b"\n" for line in lines)


def _line(
    record: RatedRecord, metrics: Sequence[RatedMetric], flow_definition_arn: str, instructions: str
) -> dict[str, Any]:
    asked = {"prompt": record.prompt, "category": record.category, "referenceResponse": record.reference}
    responses = [{"modelIdentifier": each.model, "response": each.text} for each in record.responses]
    return {
        "humanEvaluationResult": {
            "flowDefinitionArn": flow_definition_arn,
            "humanAnswers": [_answer(each) for each in record.answers],
            "humanLoopName": _loop_name(asked, responses),
            "inputContent": {
                "evaluationMetrics": [
                    {"description": each.description, "metricName": each.name, "ratingMethod": each.method.value}
                    for each in metrics
                ],
                "instructions": instructions,
            },
            "modelResponseIdMap": {str(number): each.model for number, each in enumerate(record.responses)},
        },
        "inputRecord": {name: value for name, value in asked.items() if value is not None},
        "modelResponses": responses,
    }


def _answer(answer: HumanAnswer) -> dict[str, Any]:
    results: dict[str, list[dict[str, Any]]] = {}
    for rating in answer.ratings:
        results.setdefault(METHODS[type(rating)].member, []).append(_result(rating))
    return {
        "acceptanceTime": _time(answer.accepted),
        "answerContent": {"evaluationResults": results},
        "submissionTime": _time(answer.submitted),
        "timeSpentInSeconds": round((answer.submitted - answer.accepted).total_seconds(), 3),
        "workerId": answer.worker,
        "workerMetadata": {"identityData": {"identityProviderType": "Outcrop", "sub": answer.worker}},
    }


def _result(rating: Rating) -> dict[str, Any]:
    told: dict[str, Any] = {"metricName": rating.metric}
    match rating:
        case Thumb(response=response, up=up):
            return {**told, "modelResponseId": str(response), "result": up}
        case LikertRating(response=response, value=value):
            return {**told, "modelResponseId": str(response), "result": value}
        case ComparativeLikert(left=left, right=right, value=value):
            return {"leftModelResponseId": str(left), **told, "result": value, "rightModelResponseId": str(right)}
        case ResponseChoice(response=response):
            return {**told, "result": {"modelResponseId": str(response)}}
        case ResponseRanks(ranks=ranks):
            return {
                **told,
                "result": [{"modelResponseId": str(number), "rank": rank} for number, rank in enumerate(ranks)],
            }


def _problems(record: RatedRecord, metrics: Sequence[RatedMetric], number: int) -> Iterator[str]:
    methods = {each.name: each.method for each in metrics}
    for answer in record.answers:
        at = f"record {number}, {answer.worker}"
        if answer.accepted.tzinfo is None or answer.submitted.tzinfo is None:
            yield f"{at}: a time without its zone. Give times in UTC."
        elif answer.submitted < answer.accepted:
            yield f"{at}: submitted before it was accepted. Give both by one clock."
        for rating in answer.ratings:
            method = METHODS[type(rating)]
            if methods.get(rating.metric) is not method:
                yield f"{at}: {rating.metric} is no metric that is rated by {method}. Name it among the metrics."
            elif problem := _problem(rating, len(record.responses)):
                yield f"{at}, {rating.metric}: {problem}"


def _problem(rating: Rating, num_responses: int) -> str | None:
    """The problem with a rating of so many answers; None for one that may be."""
    shown: tuple[int, ...] = ()
    match rating:
        case Thumb(response=response) | ResponseChoice(response=response) | LikertRating(response=response):
            shown = (response,)
        case ComparativeLikert(left=left, right=right):
            shown = (left, right)
            if left == right:
                return f"response {left} is compared with itself. Name two."
        case ResponseRanks(ranks=ranks):
            if len(ranks) != num_responses or not set(ranks) <= set(range(1, num_responses + 1)):
                return f"ranks {list(ranks)} of {num_responses} responses. Give each one from 1 to {num_responses}."
    if unknown := [number for number in shown if number not in range(num_responses)]:
        return f"response {unknown[0]} was not shown. Responses are numbered from 0 to {num_responses - 1}."
    if isinstance(rating, LikertRating | ComparativeLikert) and rating.value not in _LIKERT:
        return f"{rating.value} is no point of the scale. Give 1 to 5."
    return None


def _loop_name(asked: Mapping[str, Any], responses: Sequence[Mapping[str, Any]]) -> str:
    """Forty hexadecimal digits, as AWS makes them; here of what was shown, so that a record keeps its name."""
    return hashlib.sha256(json_values.dumps({"asked": asked, "responses": responses})).hexdigest()[:40]


def _time(moment: datetime) -> str:
    told = moment.isoformat(timespec="milliseconds")
    return told.removesuffix("+00:00") + "Z" if told.endswith("+00:00") else told
