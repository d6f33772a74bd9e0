"""The table of `make results` in docs/results.md: what every part has measured, and which parts were not run."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.result_parts import ResultPart

COMMAND = "make results"
_NAMES = {"bits_per_byte": "bits per byte", "token_f1": "F1", "rouge_l": "ROUGE-L"}
_HEAD = """## The articles' tasks, outcrop.starter-v1

Each task of the articles once: a job by the API, or two, one on the other, on the records of the examples; then
`outcrop compare` of base and custom model on records that were held out. `make results OUTCROP_TEST_DATA=…` writes this
part of the page; what was measured by the same code, data and settings is not measured again. Defaults of a job but
for epochs and batch size, seed 0. The difference is the mean over the records, with its 95 % interval (paired
bootstrap). *Forgotten* is the difference in bits per byte on the starter's held-out general texts: above 0 the model
has lost."""


def section(parts: Sequence[ResultPart], results: Mapping[str, Mapping[str, Any]], *, code: str) -> str:
    """The table, the runs it stands on, and what was not run; `code` is the digest of the code as it is now."""
    rows = [row for part in parts if part.name in results for row in _rows(part, results[part.name])]
    lines = [_HEAD, ""]
    if rows:
        lines += ["| task | measure | base → custom | difference | |", "|---|---|---|---|---|", *rows, ""]
        lines += ["| | trained on | asked | jobs | all of it | when | machine |", "|---|---|---|---|---|---|---|"]
        lines += [_run(part, results[part.name], code) for part in parts if part.name in results]
    missing = [f"`{part.name}` (about {part.minutes} minutes)" for part in parts if part.name not in results]
    if missing:
        lines += ["", f"**Not run yet**: {', '.join(missing)}."]
    return "\n".join(lines)


def _rows(part: ResultPart, result: Mapping[str, Any]) -> list[str]:
    report = result["report"]
    base, custom = report["models"]
    task, rows = f" **{part.name}**: {part.task}", []
    for measure in report["measures"]:
        rows.append(f"|{task} | {_name(measure)} | {_values(measure, base, custom)} | {_difference(measure)} |")
        task = ""
    if report["general"] is not None:
        general = report["general"]
        rows.append(f"| | forgotten | {_values(general, base, custom)} | {_difference(general)} |")
    return rows


def _name(measure: Mapping[str, Any]) -> str:
    name = str(measure["name"]).rpartition(":")[2]
    return _NAMES.get(name, name.replace("_", " "))


def _values(measure: Mapping[str, Any], base: str, custom: str) -> str:
    means = [measure["means"][model] for model in (base, custom)]
    return " → ".join("–" if mean is None else f"{mean['mean']:.3f}" for mean in means)


def _difference(measure: Mapping[str, Any]) -> str:
    if not measure["differences"]:
        return "– | "
    (told,) = measure["differences"]
    interval = "" if told["low"] is None else f" ({told['low']:+.3f} to {told['high']:+.3f})"
    return f"{told['difference']:+.3f}{interval} | {told['verdict']}"


def _run(part: ResultPart, result: Mapping[str, Any], code: str) -> str:
    jobs = ", then ".join(f"{job['type'].lower().replace('_', ' ')} of {job['records']:,}" for job in result["jobs"])
    seconds = sum(job["seconds"] for job in result["jobs"])
    found = len(result["report"]["contamination"]["ids"])
    asked = f"{result['report']['data']['questions']}, {found or 'none'} of them among the records learned from"
    return (
        f"| {part.name} | {jobs} | {asked} | {_minutes(seconds)} | {_minutes(result['seconds'])} "
        f"| {result['date']}{'' if result.get('code') == code else ', by earlier code'} | {result['machine']} |"
    )


def _minutes(seconds: float | None) -> str:
    """A time in minutes; a dash for that of a run that went on where another had ended."""
    return "–" if seconds is None else f"{seconds / 60:.1f} min"
