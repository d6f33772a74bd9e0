"""Questions as an approach asks them: behind examples, which are turns of a talk, and with passages where retrieved.

Examples are asked in the words of the same template, without passages, so that a model sees the form it is to keep.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.plan import PromptApproach
from outcrop.evaluation.questions import Question, read_file

QUESTION, PASSAGES = "$question$", "$passages$"


@dataclass(frozen=True, kw_only=True)
class PromptExample:
    """A training record shown before a question."""

    prompt: str
    completion: str


def draw_examples(path: Path, count: int, *, seed: int) -> tuple[PromptExample, ...]:
    """Records of a training file, drawn by seed; the same for all questions. Raises Invalid for too few."""
    pairs = [
        PromptExample(prompt=each.prompt, completion=each.reference)
        for each in read_file(path)
        if each.reference is not None and len(each.messages) == 1
    ]
    if len(pairs) < count:
        raise Invalid(f"{path}: {len(pairs)} records with a prompt and a completion, for {count} examples. Draw fewer.")
    return tuple(Random(seed).sample(pairs, count))


def prompted(
    question: Question, approach: PromptApproach, examples: Sequence[PromptExample], passages: Sequence[str]
) -> Question:
    """The question as the approach asks it; its id, references and category stay."""
    shown = [turn for example in examples for turn in _turns(example, approach)]
    *before, last = question.messages
    asked = {**last, "content": _filled(approach.template, str(last["content"]), passages)}
    return replace(question, messages=(*shown, *before, asked), system=approach.system or question.system)


def _turns(example: PromptExample, approach: PromptApproach) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    asked = _filled(approach.template, example.prompt, ())
    return {"role": "user", "content": asked}, {"role": "assistant", "content": example.completion.strip()}


def _filled(template: str, question: str, passages: Sequence[str]) -> str:
    told = "\n\n".join(f"[{number}] {passage.strip()}" for number, passage in enumerate(passages, 1))
    if PASSAGES not in template:
        template = f"{PASSAGES}\n\n{template}" if told else template
    # The question goes in last, so that what it holds is not searched for placeholders.
    head, _, tail = template.partition(QUESTION)
    return f"{head.replace(PASSAGES, told)}{question}{tail.replace(PASSAGES, told)}".strip("\n")
