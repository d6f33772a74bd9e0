"""The recipe `feedback`: answers that people were content with, from Bedrock's invocation logs and their ratings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.errors import Invalid
from outcrop.recipes import invocation_log
from outcrop.recipes.invocation_log import LoggedInvocation, LogProblem
from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows

LEAST_RATING = 1.0


class MetadataTest(NamedTuple):
    """A test of one key of an invocation's requestMetadata, as in Bedrock's RequestMetadataFilters."""

    key: str
    value: str
    is_equal: bool

    def holds(self, metadata: Mapping[str, str]) -> bool:
        return (metadata.get(self.key) == self.value) is self.is_equal

    def __str__(self) -> str:
        return f"{self.key}{'=' if self.is_equal else '!='}{self.value}"


@dataclass(frozen=True, kw_only=True)
class FeedbackFilter:
    """The choice of invocations that become records."""

    metadata: Sequence[MetadataTest] = ()
    any_metadata: bool = False
    "Whether one test is enough (orAll), rather than all of them (andAll)."
    model: str | None = None
    "Part of the model id or ARN that answered."
    least_rating: float = LEAST_RATING


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A person's judgement of one invocation, by its request id."""

    origin: str
    value: float | None
    completion: str | None = None
    "What should have been answered, where the person wrote it."


def parse_metadata_test(text: str) -> MetadataTest:
    """The test that `KEY=VALUE` or `KEY!=VALUE` stands for. Raises Invalid."""
    key, sign, value = text.partition("=")
    if not sign or not key.rstrip("!"):
        raise Invalid(f"--metadata: {text!r} is no test. Write KEY=VALUE or KEY!=VALUE.")
    return MetadataTest(key.removesuffix("!"), value, not key.endswith("!"))


def feedback(
    sources: Sequence[Path],
    *,
    ratings: Path | None = None,
    choice: FeedbackFilter | None = None,
    conversations: bool = False,
) -> Iterator[Item]:
    """Bedrock's model invocation logs, with ratings → training records.

    Source: the log's files as Bedrock writes them to S3 (ModelInvocationLog, one JSON object a line, gzip or not), of
    any provider's bodies or of Converse, streamed or not; ratings as JSON Lines of {"requestId", "rating"}, a number
    or true and false, and "completion" where a person wrote a better answer. Licence: the logs are their owner's.
    Rule: kept is an invocation whose requestMetadata and model pass the filter, and whose rating is at least
    `--least-rating` (1; true counts 1) or that has a better answer, which takes the place of the model's. Without a
    file of ratings all that pass the filter are kept. Records are prompt/completion; `--conversations` makes them
    messages, and takes system prompts and earlier turns too. Left out: what failed, was cut at its token limit, was
    filtered, holds tools or pictures, or lies in an object of its own. The last rating of an invocation counts. All
    answers to one prompt stay in one file.
    """
    choice = choice or FeedbackFilter()
    rated: dict[str, Rating] | None = None
    if ratings is not None:
        rated = {}
        for row in rows([ratings]):
            told = _rating(row) if isinstance(row, SourceRow) else row
            if isinstance(told, Dropped):
                yield told
            else:
                rated[told[0]] = told[1]
    logged: set[str] = set()
    for row in rows(sources):
        if isinstance(row, SourceRow) and rated:
            logged |= rated.keys() & {str(row.fields.get("requestId"))}
        yield _item(row, rated, choice, conversations=conversations) if isinstance(row, SourceRow) else row
    for request_id, rating in (rated or {}).items():
        if request_id not in logged:
            yield Dropped(origin=rating.origin, reason="a rating of no invocation in the logs", detail=request_id)


def _rating(row: SourceRow) -> tuple[str, Rating] | Dropped:
    """The rating of a line, by its request id; a line that says nothing is left out."""
    request_id, value = row.fields.get("requestId"), row.fields.get("rating")
    better = row.fields.get("completion")
    better = better if isinstance(better, str) and better.strip() else None
    if not isinstance(request_id, str) or not request_id:
        return Dropped(origin=row.origin, reason="a rating without a requestId")
    number = _number(value)
    if number is None and better is None:
        return Dropped(origin=row.origin, reason="a rating that is no number", detail=str(value)[:100])
    return request_id, Rating(origin=row.origin, value=number, completion=better)


def _number(value: Any) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(value) if isinstance(value, str) else None  # a cell of a CSV file
    except ValueError:
        return {"true": 1.0, "false": 0.0}.get(value.strip().lower())


def _item(row: SourceRow, rated: Mapping[str, Rating] | None, choice: FeedbackFilter, *, conversations: bool) -> Item:
    try:
        if not invocation_log.is_log(row.fields):
            raise LogProblem("no record of an invocation log")
        _check_choice(row.fields, choice)
        better = None if rated is None else _check_rating(row.fields, rated, choice.least_rating)
        invocation = invocation_log.parse(row.fields, better_answer=better)
        record = _conversation(invocation) if conversations else _pair(invocation)
    except LogProblem as problem:
        return Dropped(origin=row.origin, reason=str(problem))
    fields = {"modelId": invocation.model_id, "requestId": invocation.request_id, **invocation.metadata}
    return Kept(record=record, group=_group(invocation), origin=row.origin, fields=fields)


def _check_choice(record: Mapping[str, Any], choice: FeedbackFilter) -> None:
    if choice.model is not None and choice.model not in str(record.get("modelId", "")):
        raise LogProblem("of another model")
    metadata = invocation_log.metadata_of(record)
    holds = [test.holds(metadata) for test in choice.metadata]
    if holds and not (any(holds) if choice.any_metadata else all(holds)):
        raise LogProblem("its metadata does not pass the filter")


def _check_rating(record: Mapping[str, Any], rated: Mapping[str, Rating], least: float) -> str | None:
    """The better answer, where the rating gives one. Raises LogProblem for what is not rated, or rated too low."""
    rating = rated.get(str(record.get("requestId", "")))
    if rating is None:
        raise LogProblem("not rated")
    if rating.completion is None and (rating.value is None or not rating.value >= least):
        raise LogProblem(f"rated below {least:g}")
    return rating.completion


def _pair(invocation: LoggedInvocation) -> dict[str, Any]:
    if invocation.prompt is not None:
        return {"prompt": invocation.prompt, "completion": invocation.answer}
    if invocation.system or len(invocation.turns) > 1:
        raise LogProblem("a system prompt or several turns (--conversations takes them)")
    return {"prompt": invocation.turns[0]["content"], "completion": invocation.answer}


def _conversation(invocation: LoggedInvocation) -> dict[str, Any]:
    asked = invocation.turns or [{"role": "user", "content": invocation.prompt or ""}]
    turns = [*asked, {"role": "assistant", "content": invocation.answer}]
    return ({"system": invocation.system} if invocation.system else {}) | {"messages": turns}


def _group(invocation: LoggedInvocation) -> str:
    said = [invocation.prompt or "", *(turn["content"] for turn in invocation.turns)]
    return "\n".join(" ".join(text.split()) for text in said)
