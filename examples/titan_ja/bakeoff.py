"""The models of the example as a bake-off: quality with intervals, tokens, time, memory and cost beside each other."""

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from outcrop.evaluation.bakeoff.customizing import training_need
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, Judging
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.scores import table
from outcrop.evaluation.scores.scoring import Candidate

if TYPE_CHECKING:
    from .four_models import Answer, Clients

MEASURES = ("token_f1", "exact_match")
AT_ONCE = 8
"Questions under way together."


def judge(
    questions: Sequence[Mapping[str, Any]],
    answers: "Mapping[str, Sequence[Answer]]",
    trained: Mapping[str, TrainingNeed],
    options: argparse.Namespace,
) -> JudgedBakeoff:
    """The models on all questions with a reference, the first one being what the others are held against."""
    measures = tuple(table.find(name) for name in MEASURES)
    asked = [number for number, question in enumerate(questions) if question.get("reference")]
    outcomes = []
    for label, given in answers.items():
        candidates = [
            Candidate(
                prompt=questions[number]["prompt"],
                answer=given[number].text,
                references=(questions[number]["reference"],),
                category=questions[number]["task"],
            )
            for number in asked
        ]
        outcomes.append(
            CellOutcome(
                name=label,
                values={each.name: tuple(one.value for one in each.score(candidates)) for each in measures},
                num_answers=len(asked),
                num_input_tokens=sum(given[number].input_tokens for number in asked),
                num_output_tokens=sum(given[number].output_tokens for number in asked),
                machine_s=sum(given[number].seconds for number in asked) / AT_ONCE,
                training=trained.get(label, TrainingNeed()),
                base=options.base,
                answers=tuple(given[number].text for number in asked),
            )
        )
    return Judging(measures=measures, seed=options.seed).judge(outcomes, title=f"Japanese, {options.base}")


def needs(clients: "Clients", run: str, num_texts: int) -> dict[str, TrainingNeed]:
    """The training that each model has cost, with the pre-training before it."""

    def of(name: str) -> TrainingNeed:
        return training_need(clients.s3, clients.bedrock.get_model_customization_job(jobIdentifier=f"{run}-{name}"))

    read = sum((of(f"text-{number}") for number in range(1, num_texts + 1)), TrainingNeed())
    found = {}
    for parent, before in (("base", TrainingNeed()), ("cpt", read)):
        for epochs in ("1", "5"):
            found[f"{parent}, epochs {epochs}"] = before + of(f"{parent}-{epochs}")
    return found
