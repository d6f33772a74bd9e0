"""Votes of the blind comparison, in the form in which Bedrock's human-based evaluation jobs write theirs.

    {"humanEvaluationResult": {"humanAnswers": [{"answerContent": {"evaluationResults": {"comparisonRank": [
        {"metricName": "Preference", "result": [{"modelResponseId": "0", "rank": 1}, …]}]}}, …}],
     "modelResponseIdMap": {"0": "arn:…"}, …},
     "inputRecord": {"prompt": "…"}, "modelResponses": [{"modelIdentifier": "arn:…", "response": "…"}]}

The chosen answer has rank 1, the others 2; where none is better, all have 1. Answers none of which is any good are told
by thumbs down besides. `outcropSystem` is the system prompt that they had.

https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-foundation-model-evaluate-results-human.html
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

METRIC, ACCEPTABLE = "Preference", "Acceptable"
FORMS = ("chosen", "preference")
_MOST_ANSWERS = 4
_MOST_CHARACTERS = 100_000


class CastVote(NamedTuple):
    """A vote: the answers in the order in which they were shown, and which of them is best."""

    prompt: str
    system: str
    models: tuple[str, ...]
    answers: tuple[str, ...]
    best: int | None
    "None: no answer is better than the others."
    is_any_good: bool = True
    seconds: float = 0.0
    "From the last answer's end to the vote."


def read_vote(told: Mapping[str, Any]) -> CastVote:
    """The vote of the page's script. Raises ValueError with what is wrong."""
    try:
        models = tuple(str(each["id"]) for each in told["answers"])
        answers = tuple(str(each["text"]) for each in told["answers"])
        best = told["best"]
        vote = CastVote(
            str(told["prompt"]),
            str(told.get("system") or "").strip(),
            models,
            answers,
            best,
            told.get("any_good") is not False,
            float(told.get("seconds") or 0),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("prompt, answers, best: one is missing or of another form.") from error
    if not 2 <= len(models) <= _MOST_ANSWERS or len(set(models)) < len(models):
        raise ValueError(f"answers: vote on 2 to {_MOST_ANSWERS} of different models.")
    if not (best is None or (type(best) is int and 0 <= best < len(models))):
        raise ValueError("best: the number of an answer, or null.")
    if not vote.prompt.strip() or sum(map(len, [vote.prompt, vote.system, *answers])) > _MOST_CHARACTERS:
        raise ValueError(f"prompt, answers: 1 to {_MOST_CHARACTERS:,} characters in all.")
    if not 0 <= vote.seconds < 1e9:
        raise ValueError("seconds: no time that passed.")
    return vote


def line_of(vote: CastVote, *, worker: str, at: datetime) -> bytes:
    """The line of a vote, with the end of its line."""
    ranks = [1 if vote.best in (None, number) else 2 for number in range(len(vote.models))]
    results: dict[str, Any] = {
        "comparisonRank": [
            {
                "metricName": METRIC,
                "result": [{"modelResponseId": str(number), "rank": rank} for number, rank in enumerate(ranks)],
            }
        ]
    }
    metrics = [{"metricName": METRIC, "metricType": "ComparisonRank"}]
    if not vote.is_any_good:
        results["thumbsUpDown"] = [
            {"metricName": ACCEPTABLE, "modelResponseId": str(number), "result": False}
            for number in range(len(vote.models))
        ]
        metrics.append({"metricName": ACCEPTABLE, "metricType": "ThumbsUpDown"})
    answer = {
        "answerContent": {"evaluationResults": results},
        "submissionTime": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "timeSpentInSeconds": round(vote.seconds, 3),
        "workerId": worker,
    }
    record = {"prompt": vote.prompt} | ({"outcropSystem": vote.system} if vote.system else {})
    line = {
        "humanEvaluationResult": {
            "humanAnswers": [answer],
            "humanLoopName": hashlib.sha1(json.dumps([vote, answer]).encode(), usedforsecurity=False).hexdigest(),
            "inputContent": {"evaluationMetrics": metrics},
            "modelResponseIdMap": {str(number): model for number, model in enumerate(vote.models)},
        },
        "inputRecord": record,
        "modelResponses": [
            {"modelIdentifier": model, "response": answer}
            for model, answer in zip(vote.models, vote.answers, strict=True)
        ],
    }
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def votes_in(lines: Iterable[bytes]) -> Iterator[CastVote]:
    """The votes of such lines, Bedrock's own among them; what is no comparison of answers is passed over."""
    for line in lines:
        try:
            told = json.loads(line)
            yield from _votes(told)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def feedback_lines(votes: Iterable[CastVote], form: str) -> Iterator[bytes]:
    """Training data out of votes that chose: prompts with the chosen answer, or pairs of it with each other one."""
    for vote in votes:
        if vote.best is None or not vote.answers[vote.best].strip():
            continue
        for record in _records(vote, vote.best, form):
            yield json.dumps(record, ensure_ascii=False).encode() + b"\n"


def _records(vote: CastVote, best: int, form: str) -> list[dict[str, Any]]:
    chosen = vote.answers[best]
    system = [{"role": "system", "content": vote.system}] if vote.system else []
    if form == "preference":
        prompt: Any = [*system, {"role": "user", "content": vote.prompt}] if system else vote.prompt
        others = dict.fromkeys(answer for answer in vote.answers if answer.strip() and answer != chosen)
        told = {"prompt": prompt, "chosen": _said(chosen, system)}
        return [told | {"rejected": _said(other, system)} for other in others]
    if system:
        return [{"messages": [*system, {"role": "user", "content": vote.prompt}, *_said(chosen, system)]}]
    return [{"prompt": vote.prompt, "completion": chosen}]


def _said(answer: str, system: Sequence[Mapping[str, str]]) -> Any:
    return [{"role": "assistant", "content": answer}] if system else answer


def _votes(told: Mapping[str, Any]) -> Iterator[CastVote]:
    result, record = told["humanEvaluationResult"], told["inputRecord"]
    names = result["modelResponseIdMap"]
    said = {each["modelIdentifier"]: str(each["response"]) for each in told["modelResponses"]}
    prompt = record["prompt"]
    for answer in result["humanAnswers"]:
        results = answer["answerContent"]["evaluationResults"]
        ranks = _ranks(results)
        models = tuple(str(names[key]) for key in ranks)
        first = [number for number, rank in enumerate(ranks.values()) if rank == min(ranks.values())]
        yield CastVote(
            str(prompt["text"] if isinstance(prompt, dict) else prompt),
            str(record.get("outcropSystem", "")),
            models,
            tuple(said[model] for model in models),
            first[0] if len(first) == 1 else None,
            any(each["result"] for each in results.get("thumbsUpDown", [{"result": True}])),
            float(answer.get("timeSpentInSeconds", 0)),
        )


def _ranks(results: Mapping[str, Any]) -> dict[str, int]:
    """The rank of each response, by Bedrock's three ways to compare. Raises KeyError where there is none."""
    if "comparisonRank" in results:
        return {str(each["modelResponseId"]): int(each["rank"]) for each in results["comparisonRank"][0]["result"]}
    if "comparisonLikertScale" in results:
        told = results["comparisonLikertScale"][0]
        # 1 is all for the left one, 5 all for the right one.
        middle = 3
        return {
            str(told["leftModelResponseId"]): 1 + (told["result"] > middle),
            str(told["rightModelResponseId"]): 1 + (told["result"] < middle),
        }
    raise KeyError("evaluationResults")
