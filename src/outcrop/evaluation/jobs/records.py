"""Records of an evaluation job's data sets, read from the copies on this machine, with every flaw named.

A record of a model's evaluation is one question. One of retrieval is a conversation of up to five turns:

    {"conversationTurns": [{"prompt": {"content": [{"text": "…"}]}, "referenceResponses": [{"content": […]}]}]}

https://docs.aws.amazon.com/bedrock/latest/userguide/model-evaluation-prompt-datasets-judge.html
https://docs.aws.amazon.com/bedrock/latest/userguide/knowledge-base-evaluation-prompt.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.datasets import json_lines
from outcrop.datasets.problems import Problem, RecordError
from outcrop.errors import Invalid
from outcrop.evaluation.jobs.plan import (
    MOST_RECORDS,
    PROGRAMMATIC,
    AnswerSource,
    Application,
    EvaluatedDataset,
    EvaluationPlan,
    SourceKind,
)
from outcrop.evaluation.jobs.retrieval_records import EvaluationTurn, read_turns
from outcrop.evaluation.judging import criteria
from outcrop.evaluation.questions import Question, read_questions

_LARGEST_BYTES = 256 << 20
"Of a data set. A thousand records are seldom a hundredth of it."


@dataclass(frozen=True, kw_only=True)
class EvaluationRecord:
    """A line of a data set."""

    line: int
    raw: Mapping[str, Any]
    "As the customer wrote it."
    category: str | None
    turns: tuple[EvaluationTurn, ...]
    question: Question | None = None
    "Of an evaluation of models, with its messages."


def read_dataset(file: Path, dataset: EvaluatedDataset, plan: EvaluationPlan) -> list[EvaluationRecord]:
    """The records of a data set. Raises RecordError with all that is wrong, by line and field, and Invalid."""
    if file.stat().st_size > _LARGEST_BYTES:
        raise Invalid(f"{dataset.uri}: larger than {_LARGEST_BYTES:,} bytes. Take fewer or shorter records.")
    lines = file.read_bytes().splitlines()
    num = sum(bool(line.strip()) for line in lines)
    check_number(num, dataset.uri)
    if plan.application is Application.RETRIEVAL:
        records = _retrievals(lines, dataset.uri)
    else:
        records = [_of_question(each, lines) for each in read_questions(lines, name=dataset.uri)]
    problems = [each for record in records for each in _lacks(record, dataset, plan)]
    if problems:
        raise RecordError(problems)
    return records


def check_number(num: int, name: str) -> None:
    """Raises Invalid for more records than a job takes, or none."""
    if num > MOST_RECORDS:
        raise Invalid(
            f"{name}: {num} prompts, and an evaluation job takes at most {MOST_RECORDS}. Take a sample of them, or "
            "several jobs."
        )
    if not num:
        raise Invalid(f'{name}: no records. Write one on each line: {{"prompt": "…", "referenceResponse": "…"}}.')


def _of_question(question: Question, lines: Sequence[bytes]) -> EvaluationRecord:
    content = lines[question.line - 1].removeprefix(b"\xef\xbb\xbf")
    turn = EvaluationTurn(
        question=question.prompt,
        references=question.references,
        given={each.model: each.text for each in question.given},
    )
    return EvaluationRecord(
        line=question.line,
        raw=json_lines.parse(content),
        category=question.category,
        turns=(turn,),
        question=question,
    )


def _retrievals(lines: Sequence[bytes], name: str) -> list[EvaluationRecord]:
    records: list[EvaluationRecord] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        raw, turns, flaws = read_turns(line)
        problems.extend(Problem(name=name, line=number, field=f.field, what=f.what, mend=f.mend) for f in flaws)
        category = raw.get("category")
        told = category if isinstance(category, str) else None
        records.append(EvaluationRecord(line=number, raw=raw, category=told, turns=tuple(turns)))
    if problems:
        raise RecordError(problems)
    return records


def _lacks(record: EvaluationRecord, dataset: EvaluatedDataset, plan: EvaluationPlan) -> list[Problem]:
    """The things that the job needs and a record has not."""
    found: list[tuple[str, str, str]] = []
    if record.question is not None and record.question.is_text:
        found.append(("", "a text that asks nothing", 'Write it as {"prompt": "…", "referenceResponse": "…"}.'))
    if record.question is not None and (record.question.tools or _has_tool_turns(record.question)):
        found.append(("messages", "calls of tools are not evaluated", "Give the text of the question as prompt."))
    if not all(turn.references for turn in record.turns):
        member = "referenceResponse" if plan.application is Application.MODELS else "referenceResponses"
        needing = [name for name in dataset.metrics if _needs_reference(name, dataset)]
        mend = "Give the right answer, or leave the metric out."
        found += [(member, f"missing, and {name} needs it", mend) for name in needing]
    for source in plan.sources:
        found += _not_given(record, source)
    return [
        Problem(name=dataset.uri, line=record.line, field=field, what=what, mend=mend)
        for field, what, mend in dict.fromkeys(found)
    ]


def _has_tool_turns(question: Question) -> bool:
    return any(turn["role"] == "tool" or turn.get("tool_calls") for turn in question.messages)


def _needs_reference(metric: str, dataset: EvaluatedDataset) -> bool:
    if metric in PROGRAMMATIC:
        is_generation = dataset.task_type == "Generation"
        return metric == "Builtin.Accuracy" or (metric == "Builtin.Robustness" and not is_generation)
    return metric.startswith("Builtin.") and criteria.criterion(metric).needs_reference


def _not_given(record: EvaluationRecord, source: AnswerSource) -> list[tuple[str, str, str]]:
    """The answers that a record should have brought along."""
    if source.kind is SourceKind.GIVEN:
        if source.identifier in record.turns[0].given:
            return []
        what = f"no answer of {source.identifier}, which inferenceSourceIdentifier names"
        return [("modelResponses", what, 'Give {"response": "…", "modelIdentifier": "…"} of it.')]
    if source.kind not in (SourceKind.GIVEN_RETRIEVAL, SourceKind.GIVEN_GENERATION):
        return []
    found = []
    for number, turn in enumerate(record.turns):
        at = f"conversationTurns[{number}].output"
        if turn.output is None:
            found.append((at, "missing, and the job asks nobody", "Give what your own system answered."))
        elif turn.output.source != source.identifier:
            what = f"{turn.output.source!r} is not {source.identifier}, which ragSourceIdentifier names"
            found.append((f"{at}.knowledgeBaseIdentifier", what, "Write the same in both places."))
        elif source.kind is SourceKind.GIVEN_GENERATION and turn.output.text is None:
            found.append((f"{at}.text", "missing", "Give the answer."))
    return found
