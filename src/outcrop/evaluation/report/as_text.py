"""The report for a terminal of 80 columns: a block for each measure, differences under the means they belong to.

Names of models stand whole, however long; texts of records are shortened.
"""

import math
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, set_cell_size

from outcrop.evaluation.measures import LOSS
from outcrop.evaluation.report import examples
from outcrop.evaluation.report.value import ComparisonReport, ContaminationReport, MeasureReport
from outcrop.evaluation.statistics.comparing import ScoreDifference, Significance
from outcrop.evaluation.statistics.intervals import ConfidenceInterval, MeanEstimate

WIDTH = 80
_NAME, _NUMBER, _INTERVAL = 30, 8, 18
_MOST_EXAMPLES = 2
_DIRECTIONS = {True: "higher is better", False: "lower is better", None: ""}


def of_report(report: ComparisonReport) -> str:
    """The whole text."""
    return "\n".join(_lines(report))


def _lines(report: ComparisonReport) -> Iterator[str]:
    yield f"{report.name}: {_counted(report.num_questions, 'question')}{_seeds(report)}"
    if report.contamination is not None:
        for sentence in contamination_sentences(report.contamination, report.num_questions):
            yield from _wrapped(sentence)
    main = examples.main_measure(report)
    for measure in report.measures:
        yield ""
        yield from _block(measure, measure.name, baseline=report.models[0])
        if measure is main or measure is report.measures[0]:  # JSON and the page have them all
            yield from _categories(measure, report)
    if report.general is not None:
        yield ""
        title = f"{report.general.name} of {_counted(report.num_general, 'general text')}"
        yield from _block(report.general, title, baseline=report.models[0])
        yield from _wrapped(f"  {report.general_name}. Where a model is worse on them, it has forgotten.")
    yield ""
    yield from _costs(report)
    yield from _examples(report)
    yield from _verdicts(report)


def _seeds(report: ComparisonReport) -> str:
    return f", {report.num_seeds} answers to each" if report.num_seeds > 1 else ""


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _block(measure: MeasureReport, title: str, *, baseline: str) -> Iterator[str]:
    if not any(measure.means.values()):
        yield from _wrapped(f"{title}: no value. {_why(measure)} {measure.note}")
        return
    yield _row(title, "mean", "95 % interval", _DIRECTIONS[measure.higher_is_better])
    for model, mean in measure.means.items():
        yield from _of_model(measure, model, mean)
        for told in measure.differences:
            if told.model == model:
                yield _difference(told, baseline)
    for model, why in measure.missing.items():
        for sentence, number in why.items():
            yield from _wrapped(f"  {model}: {_counted(number, 'record')} without a value. {sentence}")
    if measure.note:
        yield from _wrapped(f"  {measure.note}")


def _why(measure: MeasureReport) -> str:
    sentences = dict.fromkeys(sentence for why in measure.missing.values() for sentence in why)
    return next(iter(sentences), "")


def _of_model(measure: MeasureReport, model: str, mean: MeanEstimate | None) -> Iterator[str]:
    name = f"  {model}"
    if mean is None:
        yield _row(name, "–", "", "")
        return
    whole = measure.whole.get(model)
    more = f"all together {whole:.2f}" if whole is not None else ""
    if measure.name == LOSS:
        more = f"perplexity {math.exp(mean.mean):,.1f}"
    yield _row(name, number(mean.mean), interval(mean.interval), more)


def _difference(told: ScoreDifference, baseline: str) -> str:
    against = "" if told.baseline == baseline else f"    to {told.baseline}"
    return _row(against, signed(told.difference), interval(told.interval, signs=True), told.significance.value)


def _row(name: str, value: str, between: str, more: str) -> str:
    figures = f"{value:>{_NUMBER}}  {between:>{_INTERVAL}}  {more}".rstrip()
    if cell_len(name) > _NAME:
        return f"{name}\n{' ' * _NAME}{figures}"
    return f"{name}{' ' * (_NAME - cell_len(name))}{figures}".rstrip()


def number(value: float) -> str:
    """A value with as many digits as tell something."""
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.1f}"


def signed(value: float) -> str:
    """A difference, with its sign."""
    return f"{value:+.3f}" if abs(value) < 100 else f"{value:+,.1f}"


def interval(told: ConfidenceInterval | None, *, signs: bool = False) -> str:
    """The two ends of an interval; empty where there is none."""
    if told is None:
        return ""
    shown = signed if signs else number
    return f"{shown(told.low)} to {shown(told.high)}"


def _categories(measure: MeasureReport, report: ComparisonReport) -> Iterator[str]:
    if len(measure.categories) < 2 or not any(measure.means.values()):
        return
    for category, means in measure.categories.items():
        yield f"  in {category} ({report.categories[category]})"
        for model, mean in means.items():
            if mean is not None:
                yield _row(f"    {model}", number(mean.mean), interval(mean.interval), "")
            for told in measure.category_differences.get(category, ()):
                if told.model == model:
                    yield _row("", signed(told.difference), interval(told.interval, signs=True), told.significance)


def contamination_sentences(told: ContaminationReport, num_questions: int) -> Iterator[str]:
    """Whether the questions were learned by heart, model by model."""
    for source in told.learned:
        trained = source.compared if source.model == source.compared else f"{source.model}, above {source.compared},"
        if source.found:
            places = ", ".join(each.id for each in source.found[:5])
            more = ", …" if len(source.found) > 5 else ""
            yield (
                f"CONTAMINATED: {trained} learned from {len(source.found)} of the {num_questions} test records, or "
                f"nearly so: {places}{more}. Scores on them tell of memory."
            )
        elif source.num_records:
            yield f"None of them is among the {_counted(source.num_records, 'record')} that {trained} learned from."
        if source.note:
            yield source.note
    yield from told.notes


def _costs(report: ComparisonReport) -> Iterator[str]:
    yield f"{'asked':<{_NAME}}{'tokens in':>10}{'tokens out':>11}{'seconds':>8}  requests"
    for model, cost in report.costs.items():
        name = f"  {model}"
        kept = f"{cost.num_asked:,}" + (f", {cost.num_kept:,} kept" if cost.num_kept else "")
        figures = f"{cost.num_prompt_tokens:>10,}{cost.num_completion_tokens:>11,}{cost.seconds:>8.1f}  {kept}"
        if cell_len(name) > _NAME:
            yield name
            name = ""
        yield f"{name}{' ' * (_NAME - cell_len(name))}{figures}"


def _examples(report: ComparisonReport) -> Iterator[str]:
    measure = examples.main_measure(report)
    if measure is None:
        return
    model = report.models[-1]
    found = examples.worst(report, measure, model, _MOST_EXAMPLES)
    if found:
        yield f"\nworst of {model} by {measure.name}"
    for record, value in found:
        yield f"  {record.question.id}  {number(value)}"
        yield from _said("asked", record.question.prompt)
        yield from _said("should be", record.question.reference or "")
        yield from _said("said", next(iter(record.answers.get(model, ())), ""))


def _said(label: str, text: str) -> Iterator[str]:
    plain = "".join(char if char.isprintable() else " " for char in text)
    plain = " ".join(plain.split())
    room = WIDTH - 15
    if plain:
        yield f"    {label:<10} {plain if cell_len(plain) <= room else set_cell_size(plain, room - 1) + '…'}"


def _verdicts(report: ComparisonReport) -> Iterator[str]:
    told = [each for measure in report.measures for each in measure.differences if each.baseline == report.models[0]]
    significant = [each for each in told if each.significance in (Significance.BETTER, Significance.WORSE)]
    if len(told) > 1 and significant:
        yield ""
        yield from _wrapped(
            f"{len(told)} differences were looked at, each at 95 %: one in 20 would show by chance where there is none."
        )


def _wrapped(text: str, width: int = WIDTH) -> Iterator[str]:
    indent = " " * (len(text) - len(text.lstrip()))
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else f"{indent}{word}"
        if line and cell_len(longer) > width:
            yield line
            longer = f"{indent}{word}"
        line = longer
    if line:
        yield line


def sentences(report: ComparisonReport) -> Sequence[str]:
    """The verdicts against the baseline, in words."""
    return [
        f"{measure.name}: {each.sentence}"
        for measure in report.measures
        for each in measure.differences
        if each.baseline == report.models[0]
    ]
