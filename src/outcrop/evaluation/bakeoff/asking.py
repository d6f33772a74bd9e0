"""A cell asked: each question behind the approach's examples and passages, answers kept, and scored together."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.errors import Refusal
from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, EvaluatedModel, LogProbabilities
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.bakeoff.plan import PromptApproach
from outcrop.evaluation.bakeoff.prompting import PromptExample, prompted
from outcrop.evaluation.collecting import CollectedAnswers, Progress, collect
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.measures import LikelihoodMeasure, Measure
from outcrop.evaluation.questions import Question
from outcrop.evaluation.scores.scoring import Candidate, TextScore

AT_ONCE = 8
"Questions under way together; the engine makes their answers side by side."
_MOST_TOLD = 3


@dataclass(frozen=True, kw_only=True)
class PassageSource:
    """A knowledge base from which passages are retrieved, by a client of bedrock-agent-runtime."""

    runtime: Any = field(repr=False)
    knowledge_base: str
    num_results: int

    def passages(self, question: str) -> tuple[str, ...]:
        """The passages for a question, the best first."""
        found = self.runtime.retrieve(
            knowledgeBaseId=self.knowledge_base,
            retrievalQuery={"text": question},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": self.num_results}},
        )
        return tuple(each["content"]["text"] for each in found["retrievalResults"])


@dataclass(frozen=True, kw_only=True)
class AskedCell:
    """Everything by which a cell is asked."""

    name: str
    prompt: PromptApproach
    examples: tuple[PromptExample, ...]
    passages: PassageSource | None
    model: EvaluatedModel
    kept: KeptAnswers
    asked: str
    "The id or ARN of the model."
    base: str
    training: TrainingNeed
    command: str
    notes: tuple[str, ...] = ()

    async def outcome(
        self,
        questions: Sequence[Question],
        measures: Sequence[Measure],
        settings: AnswerSettings,
        *,
        progress: Progress,
    ) -> CellOutcome:
        """The outcome of all questions."""
        try:
            asked = [await asyncio.to_thread(self._prompted, question) for question in questions]
            collected = await collect(
                self.model,
                asked,
                settings,
                kept=self.kept,
                generates=any(isinstance(each, TextScore) for each in measures),
                scores=any(isinstance(each, LikelihoodMeasure) for each in measures),
                at_once=AT_ONCE,
                progress=progress,
            )
        except Refusal as refused:
            return self._failed(refused.message)
        return self._scored(questions, collected, measures)

    def _prompted(self, question: Question) -> Question:
        passages = self.passages.passages(question.prompt) if self.passages is not None else ()
        return prompted(question, self.prompt, self.examples, passages)

    def _scored(
        self, questions: Sequence[Question], collected: CollectedAnswers, measures: Sequence[Measure]
    ) -> CellOutcome:
        answers = [each for of_question in collected.answers for each in of_question]
        told = [*answers, *collected.likelihoods]
        refused = [each for each in told if isinstance(each, str)]
        if len(refused) == len(told):
            return self._failed(refused[0])
        # The cost is that of answering: how likely references are is asked for the sake of measuring alone.
        given = [each for each in answers or collected.likelihoods if not isinstance(each, str)]
        # An approach that cannot ask a question answers it with nothing. To leave the question out would flatter it.
        texts = tuple(each.text.strip() if isinstance(each, EvaluatedAnswer) else "" for each in answers)
        values, weights = {}, {}
        for measure in measures:
            if isinstance(measure, TextScore):
                values[measure.name] = _scores(questions, texts, measure)
            else:
                values[measure.name], weights[measure.name] = _likelihoods(collected.likelihoods, measure)
        return CellOutcome(
            name=self.name,
            values=values,
            weights=weights,
            num_answers=len(questions),
            num_input_tokens=sum(each.num_prompt_tokens or 0 for each in given),
            num_output_tokens=sum(
                each.num_completion_tokens or 0 for each in given if isinstance(each, EvaluatedAnswer)
            ),
            machine_s=sum(each.seconds for each in given) / min(AT_ONCE, len(questions)),
            training=self.training,
            base=self.base,
            model=self.asked,
            command=self.command,
            notes=(*self.notes, *_unanswered(refused, len(told))),
            answers=texts,
        )

    def _failed(self, why: str) -> CellOutcome:
        return CellOutcome(
            name=self.name,
            values={},
            num_answers=0,
            base=self.base,
            model=self.asked,
            command=self.command,
            notes=self.notes,
            failure=why,
        )


def _scores(questions: Sequence[Question], texts: Sequence[str], score: TextScore) -> tuple[float | None, ...]:
    candidates = [
        Candidate(prompt=question.prompt, answer=text, references=question.references, category=question.category)
        for question, text in zip(questions, texts, strict=True)
    ]
    return tuple(each.value for each in score.score(candidates))


def _likelihoods(
    told: Sequence[LogProbabilities | str], measure: LikelihoodMeasure
) -> tuple[tuple[float | None, ...], tuple[float, ...]]:
    """The values of a measure, with the weights by which their mean is that of all tokens."""
    values = tuple(None if isinstance(each, str) else measure.value(each) for each in told)
    return values, tuple(0.0 if isinstance(each, str) else measure.weight(each) for each in told)


def _unanswered(refused: Sequence[str], num_asked: int) -> tuple[str, ...]:
    if not refused:
        return ()
    reasons = " ".join(list(dict.fromkeys(refused))[:_MOST_TOLD])
    return (f"{len(refused)} of {num_asked} questions could not be asked, and score as answered by nothing: {reasons}",)
