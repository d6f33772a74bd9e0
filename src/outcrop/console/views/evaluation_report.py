"""The report of an evaluation job, out of the lines that it wrote where Bedrock writes them.

Means have 95 % intervals over records, and two sources are compared record by record. All of it is computed from the
lines alone, so that output of AWS is shown as well.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from outcrop.console.views.evaluation_request import WORSE_WHEN_HIGH
from outcrop.console.views.interval_bar import DrawnInterval, ends_of, interval_bars

_BUILTIN = "Builtin."
PAGE = 10
ORDERS = ("worst", "difference", "file")


class ScoredTurn(NamedTuple):
    """A question with its answer and scores, as a line of output has it."""

    prompt: str
    reference: str
    category: str
    answer: str
    scores: Mapping[str, float | str]
    explanations: Mapping[str, str]
    "What the judge said, or why there is no score."
    passages: tuple[str, ...] = ()


class OutputSet(NamedTuple):
    """The lines of one source on one data set."""

    source: str
    dataset: str
    turns: Sequence[ScoredTurn]


class MeanRow(NamedTuple):
    """The mean of a source in a metric."""

    source: str
    told: str
    interval: str
    bar: DrawnInterval | None
    num: int
    num_without: int


class CategoryRow(NamedTuple):
    """A category with the mean of each source."""

    name: str
    num: int
    told: list[str]


class MetricReport(NamedTuple):
    """A metric over a data set."""

    name: str
    is_worse_when_high: bool
    rows: list[MeanRow]
    categories: list[CategoryRow]
    verdict: str
    "One of the words of a comparison, empty where there is one source."
    difference: str
    computed_by: str = ""
    agreement: tuple[str, str] | None = None
    "Of a judge: the share of grades that it gave again, and how many were asked again."


class RecordView(NamedTuple):
    """A question with what each source answered, and its score."""

    number: int
    prompt: str
    reference: str
    category: str
    answers: list[tuple[str, str, str, str]]
    "Source, answer, score, what was said of it."
    passages: tuple[str, ...]


class RecordsPart(NamedTuple):
    """Some of the records, with the numbers of the parts around them."""

    records: list[RecordView]
    before: int | None
    after: int | None


def read_lines(key: str, content: bytes) -> OutputSet:
    """The lines of an output object; its key names the source and the data set. Lines that are none are passed over."""
    turns: list[ScoredTurn] = []
    for line in content.splitlines():
        try:
            turns += _turns(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
    return OutputSet(*_names(key), turns)


def is_output(key: str) -> bool:
    """Whether an object of a job's folder holds lines of output."""
    return key.endswith("_output.jsonl") and "/datasets/" in key


def metrics_in(sets: Sequence[OutputSet]) -> list[str]:
    """The metrics that any line has, in their order."""
    turns = [turn for each in sets for turn in each.turns]
    return list(dict.fromkeys(name for turn in turns for name in [*turn.scores, *turn.explanations]))


def metric_report(sets: Sequence[OutputSet], metric: str) -> MetricReport:
    """The means of all sources of one data set in a metric, with their difference where there are two."""
    # Here, since numpy is needed by whoever looks at a report alone.
    from outcrop.evaluation.statistics.comparing import Significance, compare
    from outcrop.evaluation.statistics.intervals import estimate

    values = [_numbers(each.turns, metric) for each in sets]
    found = [estimate(each) for each in values]
    bars = interval_bars([None if one is None else ends_of(one.mean, one.interval) for one in found])
    rows = []
    for each, numbers, one, bar in zip(sets, values, found, bars, strict=True):
        words = [turn.scores[metric] for turn in each.turns if isinstance(turn.scores.get(metric), str)]
        counts = ", ".join(f"{word}: {words.count(word)}" for word in dict.fromkeys(words)) or "–"
        told = counts if one is None else f"{one.mean:.3f}"
        interval = "" if one is None or one.interval is None else f"{one.interval.low:.3f} – {one.interval.high:.3f}"
        graded = len(words) or sum(value is not None for value in numbers)
        rows.append(MeanRow(each.source, told, interval, bar, graded, len(numbers) - graded))
    verdict, difference = "", ""
    if len(sets) > 1 and _is_paired(sets[0], sets[1]):
        higher = None if not _is_known(metric) else metric not in WORSE_WHEN_HIGH
        beside = compare(values[1], values[0], higher_is_better=higher, model=sets[1].source, baseline=sets[0].source)
        if beside is not None:
            verdict = Significance(beside.significance).name
            reach = "" if beside.interval is None else f" ({beside.interval.low:+.3f} – {beside.interval.high:+.3f})"
            difference = f"{beside.difference:+.3f}{reach}"
    return MetricReport(metric, metric in WORSE_WHEN_HIGH, rows, _categories(sets, metric), verdict, difference)


def with_notes(report: MetricReport, summary: Mapping[str, Any], dataset: str) -> MetricReport:
    """The report with what Outcrop's own summary says of the metric: how it was computed, and how its judge fared."""
    for part in summary.get("results", ()):
        for told in part.get("metrics", ()) if part.get("dataset") == dataset else ():
            if told["metricName"].removeprefix(_BUILTIN) == report.name.removeprefix(_BUILTIN):
                again = told.get("judgeAgreesWithItself")
                agreement = None if again is None else (f"{100 * again['share']:.0f} %", f"{again['numPairs']:,}")
                return report._replace(computed_by=told.get("computedBy", ""), agreement=agreement)
    return report


def in_order(sets: Sequence[OutputSet], names: Sequence[str]) -> list[OutputSet]:
    """The sources as the job names them; the keys of objects are sorted by letters."""
    places = {name: place for place, name in enumerate(names)}
    return sorted(sets, key=lambda each: places.get(each.source, len(places)))


def records_part(sets: Sequence[OutputSet], metric: str, order: str, first: int) -> RecordsPart:
    """Records from the `first` on: those that were answered worst, differ most, or as they stand in the file."""
    if not sets:
        return RecordsPart([], None, None)
    paired = len(sets) > 1 and _is_paired(sets[0], sets[1])
    shown = sets if paired else sets[:1]
    places = list(range(len(shown[0].turns)))
    sign = -1.0 if metric in WORSE_WHEN_HIGH else 1.0
    columns = [_numbers(each.turns, metric) for each in shown]

    def worst(place: int) -> tuple[float, int]:
        known = [sign * value for column in columns if (value := column[place]) is not None]
        return (min(known, default=float("-inf")), place)

    def difference(place: int) -> tuple[float, int]:
        known = [value for column in columns if (value := column[place]) is not None]
        return (-(max(known) - min(known)) if len(known) > 1 else 1.0, place)

    if order != "file":
        places.sort(key=difference if order == "difference" and paired else worst)
    return RecordsPart(
        [_record(shown, metric, place) for place in places[first : first + PAGE]],
        max(0, first - PAGE) if first else None,
        first + PAGE if first + PAGE < len(places) else None,
    )


def _record(sets: Sequence[OutputSet], metric: str, place: int) -> RecordView:
    turn = sets[0].turns[place]
    answers = []
    for each in sets:
        own = each.turns[place]
        score = own.scores.get(metric)
        told = f"{score:.3f}" if isinstance(score, float) else score or "–"
        answers.append((each.source, own.answer, told, own.explanations.get(metric, "")))
    return RecordView(place + 1, turn.prompt, turn.reference, turn.category, answers, turn.passages)


def _categories(sets: Sequence[OutputSet], metric: str) -> list[CategoryRow]:
    from outcrop.evaluation.statistics.intervals import estimate

    names = list(dict.fromkeys(turn.category for each in sets for turn in each.turns if turn.category))
    rows = []
    for name in names:
        told = []
        for each in sets:
            one = estimate(_numbers([turn for turn in each.turns if turn.category == name], metric))
            reach = (
                "" if one is None or one.interval is None else f" ({one.interval.low:.3f} – {one.interval.high:.3f})"
            )
            told.append("–" if one is None else f"{one.mean:.3f}{reach}")
        rows.append(CategoryRow(name, sum(turn.category == name for turn in sets[0].turns), told))
    return rows


def _numbers(turns: Iterable[ScoredTurn], metric: str) -> list[float | None]:
    return [value if isinstance(value := turn.scores.get(metric), float) else None for turn in turns]


def _is_paired(first: OutputSet, second: OutputSet) -> bool:
    return [turn.prompt for turn in first.turns] == [turn.prompt for turn in second.turns]


def _is_known(metric: str) -> bool:
    """Whether it is known which end of a metric is better; of the customer's own it is not."""
    return metric.startswith(_BUILTIN) or metric in ("Accuracy", "Robustness", "Toxicity")


def _names(key: str) -> tuple[str, str]:
    """Source and data set of `…/models/MODEL/taskTypes/T/datasets/D/…`, or of `…/inference_configs/0/datasets/D/…`."""
    parts = key.split("/")
    dataset = parts[parts.index("datasets") + 1] if "datasets" in parts else ""
    for folder in ("models", "inference_configs"):
        if folder in parts:
            return parts[parts.index(folder) + 1], dataset
    return "", dataset


def _turns(line: Mapping[str, Any]) -> list[ScoredTurn]:
    if "conversationTurns" in line:
        return [_retrieval_turn(turn, str(line.get("category") or "")) for turn in line["conversationTurns"]]
    record, told = line["inputRecord"], line["automatedEvaluationResult"]
    responses = line.get("modelResponses") or []
    answer = str(responses[0]["response"]) if responses else str(line.get("outcropError", ""))
    scores, explanations = _scores(told["scores"], told.get("outcropUngraded", []))
    return [
        ScoredTurn(
            str(record["prompt"]),
            str(record.get("referenceResponse") or ""),
            str(record.get("category") or ""),
            answer,
            scores,
            explanations,
        )
    ]


def _retrieval_turn(turn: Mapping[str, Any], category: str) -> ScoredTurn:
    record, output = turn["inputRecord"], turn["output"]
    references = record.get("referenceResponses") or []
    found = (output.get("retrievedPassages") or output.get("retrievedResults") or {}).get("retrievalResults", [])
    scores, explanations = _scores(turn["results"], turn.get("outcropUngraded", []))
    return ScoredTurn(
        _text(record["prompt"]),
        " / ".join(map(_text, references)),
        str(record.get("category") or category),
        str(output.get("text") or turn.get("outcropError", "")),
        scores,
        explanations,
        tuple(map(_content_of, found)),
    )


def _content_of(passage: Mapping[str, Any]) -> str:
    content = passage.get("content", "")
    return str(content.get("text", "") if isinstance(content, dict) else content)


def _scores(
    told: Iterable[Mapping[str, Any]], without: Iterable[Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, str]]:
    scores, explanations = dict[str, Any](), dict[str, str]()
    for each in [*told, *without]:
        result = each.get("result")
        if result is not None:
            scores[each["metricName"]] = result if isinstance(result, str) else float(result)
        details = each.get("evaluatorDetails") or [{}]
        said = details[0].get("explanation") or each.get("explanation") or ""
        if said or result is None:
            explanations[each["metricName"]] = said
    return scores, explanations


def _text(told: Mapping[str, Any]) -> str:
    """The text of Bedrock's content blocks."""
    return "".join(str(each.get("text", "")) for each in told["content"])
