"""The preflight report for people at a terminal: aligned lines for each file, then the problems.

train.jsonl
  records       2,000
  tokens       70,021   25,595 of them are learned, 117,482 bytes of text
  longest          53   line 1,406; half of the records have 35 or fewer, the model takes 2,048
  cut off           0
  repeated          1   lines 4 = 9 = 12
  languages         2   Japanese 96 %, English 4 %
  tokenizer      3.10   bytes a token: good for Japanese (3.05), good for English (4.31)
"""

from collections.abc import Iterator, Sequence

from outcrop.datasets.problems import kind_of
from outcrop.datasets.report.value import FileReport, Fitness, LanguageFit, NearOverlap, Overlap, Report, RunForecast

_SHOWN = 10
_SHOWN_OF_A_KIND = 3
_SHOWN_LANGUAGES = 4
Row = tuple[str, int | str, str]


def of_report(report: Report) -> str:
    # Of a file in a form that is not read there is nothing to count.
    counted = [file for file in report.files if file.num_records or file.num_refused or not file.problems]
    blocks = [_file(file, report) for file in counted]
    for part in sorted({file.part for file in counted}):
        together = [file for file in counted if file.part == part]
        blocks += [_totals(together)] if len(together) > 1 else []
    blocks.append(_verdict(report))
    if report.forecast is not None:
        blocks.append(_table("A job with it, on this machine", list(_forecast(report.forecast))))
    return "\n\n".join(blocks) + "\n"


def duration(seconds: float) -> str:
    """A duration as a person would say it: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def gibibytes(num_bytes: int) -> str:
    """An amount of memory as a person would say it."""
    return f"{num_bytes / 2**30:.2f} GiB"


def verdict_of(fit: LanguageFit) -> str:
    """How well the tokenizer suits a language, in a few words."""
    why = f"{fit.bytes_per_token:.2f}"
    if fit.num_unknown:
        why += f", {fit.num_unknown:,} unknown: {' '.join(fit.unknown)}"
    elif fit.split_share >= 0.01:
        why += f", {fit.split_share:.0%} of the characters in pieces"
    return f"{fit.verdict} for {fit.language} ({why})"


def _file(file: FileReport, report: Report) -> str:
    return _table(file.name, [*_counts(file, report), *_converted(file), *_repeated(file), *_text(file)])


def _totals(files: Sequence[FileReport]) -> str:
    """The totals of a dataset of several files."""
    num_bytes = sum(file.num_supervised_bytes for file in files)
    used = "scored" if files[0].part else "learned"
    supervised = f"{sum(file.num_supervised for file in files):,} of them are {used}, {num_bytes:,} bytes of text"
    rows: list[Row] = [
        ("records", sum(file.num_records for file in files), ""),
        ("tokens", sum(file.num_tokens for file in files), supervised),
    ]
    return _table(f"{len(files):,} files together", rows)


def _table(head: str, rows: Sequence[Row]) -> str:
    told = [
        f"  {label:<9} {number if isinstance(number, str) else f'{number:,}':>9}   {note}".rstrip()
        for label, number, note in rows
    ]
    return "\n".join([head, *told])


def _counts(file: FileReport, report: Report) -> Iterator[Row]:
    yield "records", file.num_records, ""
    if file.num_refused:
        yield "refused", file.num_refused, "told below"
    if file.longest is not None:
        used = "scored" if file.part else "learned"
        size = f"{file.num_supervised_bytes:,} byte{'' if file.num_supervised_bytes == 1 else 's'} of text"
        yield "tokens", file.num_tokens, f"{file.num_supervised:,} of them are {used}, {size}"
        yield "longest", file.longest.tokens, _longest(file, report)
    yield "cut off", file.num_truncated, ""
    if file.num_split:
        pieces = [f"{file.counted} {split.line:,} in {split.sequences:,}" for split in file.split]
        why = "longer than the context, learned in pieces"
        yield "split", file.num_split, f"{why}: {_some(pieces, file.num_split)}"
    if file.num_by_answer:
        lines = [f"{file.counted} {split.line:,} in {split.sequences:,}" for split in file.by_answer]
        why = "the chat template writes earlier answers otherwise, so each is learned behind its own prompt"
        yield "by answer", file.num_by_answer, f"{why}: {_some(lines, file.num_by_answer)}"
    for left in file.left_out:
        lines = [f"{line:,}" for line in left.lines]
        why = f"{left.what}: the chat template does not write them, here or in serving: {file.counted}s {_some(lines)}"
        yield "left out", len(left.lines), why


def _converted(file: FileReport) -> Iterator[Row]:
    for rule in file.converted:
        left = f"; left out: {', '.join(rule.left_out)}" if rule.left_out else ""
        yield "converted", rule.num, f"{rule.form}: {rule.rule}{left}"


def _repeated(file: FileReport) -> Iterator[Row]:
    near, lines = file.near, f"{file.counted}s"
    if file.num_duplicates:
        groups = [" = ".join(f"{line:,}" for line in group) for group in file.duplicates]
        yield "repeated", file.num_duplicates, f"{lines} {_some(groups, file.num_duplicates)}"
    if file.num_overlap:
        where, pairs = _elsewhere(file, "=", file.overlap)
        yield "overlap", file.num_overlap, f"also in {where}: {lines} {_some(pairs, file.num_overlap)}"
    if near.num:
        alike = [" ~ ".join(f"{line:,}" for line in group.lines) for group in near.groups]
        yield "similar", near.num, f"nearly repeat another record: {lines} {_some(alike)}"
    if near.num_overlap:
        where, pairs = _elsewhere(file, "~", near.overlap)
        yield "resembles", near.num_overlap, f"nearly in {where}: {lines} {_some(pairs, near.num_overlap)}"
    if near.why_not and file.num_records:
        yield "similar", "-", near.why_not
    elif near.num_compared < file.num_records:
        yield "compared", near.num_compared, "records, the first ones, for being similar: the memory for it is bounded"


def _elsewhere(file: FileReport, like: str, pairs: Sequence[Overlap | NearOverlap]) -> tuple[str, list[str]]:
    """The files in which records of this one stand too, and the pairs of them."""
    names = list(dict.fromkeys(pair.among for pair in pairs))
    where = names[0] if len(names) == 1 else "files before it"
    there = {name: f"{name}:" if len(names) > 1 else "" for name in names}
    told = [f"{pair.line:,} {like} {there[pair.among]}{pair.train_line:,}" for pair in pairs]
    return f"{where}, so they test memory" if file.part else where, told


def _text(file: FileReport) -> Iterator[Row]:
    fitness = file.fitness
    if fitness.languages:
        yield "languages", len(fitness.languages), languages(fitness)
        fits = [verdict_of(fit) for fit in fitness.languages[:_SHOWN_LANGUAGES]]
        yield "tokenizer", f"{fitness.bytes_per_token:.2f}", f"bytes a token: {', '.join(fits)}"
    if fitness.num_unknown:
        lines = [f"{line:,}" for line in fitness.unknown_lines]
        what = "tokens for text that the tokenizer does not know"
        yield "unknown", fitness.num_unknown, f"{what}: {file.counted}s {_some(lines)}"
    for found in file.personal:
        shown = [f"{file.counted} {line:,} {masked}" for line, masked in zip(found.lines, found.masked, strict=True)]
        records = f"{found.num_records:,} record{'s' * (found.num_records > 1)}"
        told = f"{found.kind} in {records}: {_some(shown[:3], found.num_records)}"
        yield "personal", found.num, told


def languages(fitness: Fitness) -> str:
    """The languages of a file, with the share of each."""
    total = sum(fit.num_records for fit in fitness.languages)
    shares = [f"{fit.language} {fit.num_records / total:.0%}" for fit in fitness.languages]
    sampled = f", of {fitness.num_sampled:,} record{'s' * (fitness.num_sampled > 1)} looked at"
    by = ", told by script alone: install outcrop[data] for more" if fitness.by_script_only else ""
    return _some(shares) + sampled + by


def _forecast(forecast: RunForecast) -> Iterator[Row]:
    if forecast.why_not:
        yield "forecast", "-", forecast.why_not
    else:
        per_row = forecast.row_tokens / forecast.rows
        yield (
            "steps",
            forecast.steps,
            f"{forecast.epochs:,} epoch{'s' * (forecast.epochs > 1)}, each packed into {forecast.rows:,} rows of "
            f"{per_row:,.0f} tokens on average",
        )
        yield "time", duration(forecast.seconds), f"by {forecast.method}; {past_of(forecast)}"
        yield "memory", gibibytes(forecast.memory_bytes), f"of {gibibytes(forecast.free_bytes)} free"
    if forecast.price is not None:
        yield "price", f"{forecast.price.amount:,.2f}", f"{forecast.price.currency}: {forecast.price.told}"
    else:
        yield "price", "-", forecast.no_price


def past_of(forecast: RunForecast) -> str:
    """How right earlier predictions were, in a sentence's part."""
    past = forecast.past
    if past is None:
        return "no earlier run on this machine to hold it against"
    runs = f"{past.num_runs:,} earlier run{'s' * (past.num_runs > 1)}"
    memory = "" if past.memory is None else f", and {past.memory:.2f} x the memory"
    return f"{runs} here took {past.time:.2f} x what was predicted (at worst {past.worst_time:.2f} x){memory}"


def _longest(file: FileReport, report: Report) -> str:
    assert file.longest is not None
    half = f"half of the records have {file.median_tokens:,} or fewer, " if file.num_records > 1 else ""
    return f"{file.counted} {file.longest.line:,}; {half}the model takes {report.context_length:,}"


def _some(things: Sequence[str], num: int | None = None) -> str:
    """The first of several things, and how many more there are of `num`, or of all that are given."""
    shown = things[:_SHOWN]
    more = (len(things) if num is None else num) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _verdict(report: Report) -> str:
    if not report.problems:
        whole = not any(file.left_out for file in report.files)
        return f"Ready to train: every record is used, {'whole' if whole else 'but for what is left out'}."
    if report.num_problems <= _SHOWN:
        shown = [str(problem) for problem in report.problems]
    else:
        shown = [line for file in report.files for line in _by_kind(file)]
    return "\n".join(["Not ready. Mend these first:", *shown])


def _by_kind(file: FileReport) -> Iterator[str]:
    """The first problems of each kind, and how many more there are like them."""
    for kind in file.kinds[:_SHOWN]:
        named = kind_of(kind.first)
        alike = [problem for problem in file.problems if kind_of(problem) == named][:_SHOWN_OF_A_KIND]
        yield from map(str, alike or [kind.first])
        more = kind.num - max(1, len(alike))
        if more > 0:
            yield f"  … and {more:,} more like this."
    others = file.kinds[_SHOWN:]
    if others:
        yield f"{file.name}: … and {sum(kind.num for kind in others):,} problems of {len(others):,} other kinds."
