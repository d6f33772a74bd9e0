"""A bake-off carried out: knowledge bases and jobs first, each once, then every cell asked the same questions.

Whatever was done before is found again: jobs by their digests, knowledge bases by theirs, answers where they are kept.
So a run that was killed goes on, and a cell is repeated alone at no cost.
"""

import asyncio
import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid, Refusal
from outcrop.evaluation import contamination
from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.api_client import ApiClient
from outcrop.evaluation.asking_api import OpenedModel, open_model
from outcrop.evaluation.bakeoff.asking import AskedCell, PassageSource
from outcrop.evaluation.bakeoff.customizing import JobRunner, TrainedModel
from outcrop.evaluation.bakeoff.outcome import CellOutcome, TrainingNeed
from outcrop.evaluation.bakeoff.plan import AXES, BakeoffCell, BakeoffPlan, RetrievalApproach
from outcrop.evaluation.bakeoff.prompting import PromptExample, draw_examples
from outcrop.evaluation.bakeoff.sharing import Digest, SharedJob, digests, job_of, jobs_of
from outcrop.evaluation.comparison import Progress, unheard
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.measures import Measure
from outcrop.evaluation.questions import Question, read_file
from outcrop.evaluation.report.value import ContaminationReport

KnowledgeOf = Callable[[RetrievalApproach], str]
"The id of an approach's knowledge base, found or made and ingested."


@dataclass(kw_only=True)
class BakeoffRun:
    """A run of a plan, against one installation."""

    plan: BakeoffPlan
    place: Path
    "The plan's file, for the commands that repeat a cell."
    measures: Sequence[Measure]
    api: ApiClient
    jobs: JobRunner
    knowledge_of: KnowledgeOf
    kept: Path
    "The folder of kept answers."
    tell: Callable[[str], None]
    progress: Progress = unheard
    held_out: ContaminationReport | None = None
    "Whether the models have learned from the questions; known once there are outcomes."
    _digest: Digest = field(default_factory=digests)
    _trained: dict[str, TrainedModel | str] = field(default_factory=dict)
    "By digest of the job; a sentence of one that failed."
    _opened: dict[str, OpenedModel] = field(default_factory=dict)

    async def outcomes(self, cells: Sequence[BakeoffCell]) -> list[CellOutcome]:
        """The outcome of each cell, in order. Raises Invalid before anything is done where questions were learned."""
        questions = read_questions(self.plan)
        wanted = jobs_of(self.plan, cells, self._digest)
        check_held_out(self.plan, questions, [job.training for job in wanted])
        examples = self._examples()
        bases = self._knowledge_bases(cells)
        for job in wanted:
            self._trained[job.digest] = self._train(job)
        self.held_out = await self._looked_for(questions, cells)
        names = short_names(cells)
        return [await self._outcome(cell, names[cell.name], questions, examples, bases) for cell in cells]

    def _examples(self) -> dict[str, tuple[PromptExample, ...]]:
        return {
            name: draw_examples(each.training, each.num_examples, seed=self.plan.seed) if each.training else ()
            for name, each in self.plan.prompts.items()
        }

    def _knowledge_bases(self, cells: Sequence[BakeoffCell]) -> dict[str, str]:
        wanted = dict.fromkeys(cell.retrieval for cell in cells)
        approaches = [self.plan.retrievals[name] for name in wanted]
        return {each.name: self.knowledge_of(each) for each in approaches if not each.is_plain}

    def _train(self, job: SharedJob) -> TrainedModel | str:
        """The model of a job, or why there is none: one failure leaves the other cells as they are."""
        parent = self._trained[job.parent.digest] if job.parent is not None else None
        if isinstance(parent, str):
            return parent
        try:
            return self.jobs.model_of(job, parent)
        except Refusal as refused:
            self.tell(refused.message)
            return refused.message

    async def _outcome(
        self,
        cell: BakeoffCell,
        name: str,
        questions: Sequence[Question],
        examples: dict[str, tuple[PromptExample, ...]],
        bases: dict[str, str],
    ) -> CellOutcome:
        job = job_of(self.plan, cell, self._digest)
        trained = self._trained[job.digest] if job is not None else None
        command = f"outcrop bakeoff {shlex.quote(str(self.place))} --cell {shlex.quote(cell.name)}"
        if isinstance(trained, str):
            return CellOutcome(name=name, values={}, num_answers=0, base=cell.model, command=command, failure=trained)
        asked = trained.model_arn if trained is not None else cell.model
        model = await self._open(asked)
        retrieval = self.plan.retrievals[cell.retrieval]
        with closing(KeptAnswers(self.kept, model.identity.key)) as kept:
            cell_asked = AskedCell(
                name=name,
                prompt=self.plan.prompts[cell.prompt],
                examples=examples[cell.prompt],
                passages=None if retrieval.is_plain else self._passages(bases[cell.retrieval], retrieval),
                model=model,
                kept=kept,
                asked=asked,
                base=cell.model,
                training=trained.need if trained is not None else TrainingNeed(),
                command=command,
                notes=(trained.note,) if trained is not None and trained.note else (),
            )
            settings = AnswerSettings(max_tokens=self.plan.max_tokens, seed=self.plan.seed)
            outcome = await cell_asked.outcome(
                questions, self.measures, settings, progress=partial(self.progress, name)
            )
        self.tell(f"{name}: {outcome.failure or f'{len(questions)} questions answered'}")
        return outcome

    async def _looked_for(self, questions: Sequence[Question], cells: Sequence[BakeoffCell]) -> ContaminationReport:
        """The questions looked for in all that models learn from and prompts show, also nearly the same."""
        arns: dict[str, str | None] = {}
        names: dict[str, str] = {}
        for cell in cells:
            job = job_of(self.plan, cell, self._digest)
            trained = self._trained[job.digest] if job is not None else None
            if job is None:
                arns[cell.model] = (await self._open(cell.model)).identity.arn
            elif isinstance(trained, TrainedModel):
                arns[f"{cell.customization} of {cell.model}"] = trained.model_arn
                chain = zip(job.chain, self.plan.chain(cell.customization), strict=True)
                names |= {link.name: approach.name for link, approach in chain}
        clients = {"bedrock": self.jobs.clients.bedrock, "s3": self.jobs.clients.s3}
        found = await asyncio.to_thread(contamination.check, clients, questions, arns)
        shown = [
            contamination.check_file(each.training, questions, name=f"the prompt {name}")
            for name, each in self.plan.prompts.items()
            if each.training is not None
        ]
        learned = [replace(each, model=names.get(each.model, each.model)) for each in found.learned]
        return replace(found, learned=(*learned, *shown))

    def _passages(self, knowledge_base: str, retrieval: RetrievalApproach) -> PassageSource:
        runtime: Any = self.api.client("bedrock-agent-runtime")
        return PassageSource(runtime=runtime, knowledge_base=knowledge_base, num_results=retrieval.num_results)

    async def _open(self, name: str) -> OpenedModel:
        if name not in self._opened:
            self._opened[name] = await open_model(self.api, name)
        return self._opened[name]


def read_questions(plan: BakeoffPlan) -> list[Question]:
    """The questions of a plan, with something to ask. Raises Invalid where there is none, RecordError for bad lines."""
    questions = [each for each in read_file(plan.questions) if not each.is_text]
    if not questions:
        raise Invalid(f"{plan.questions}: no question in it. Write lines with a prompt and a referenceResponse.")
    return questions[: plan.most_questions]


def check_held_out(plan: BakeoffPlan, questions: Sequence[Question], training: Iterable[Path]) -> None:
    """Raises Invalid with the questions that stand in training data or among the records that examples come from."""
    by_said = {_said(question): question for question in questions}
    files = dict.fromkeys([*training, *(each.training for each in plan.prompts.values() if each.training)])
    found = [
        f"  {by_said[_said(record)].id} stands in {path.name}:{record.line}"
        for path in files
        for record in read_file(path)
        if not record.is_text and _said(record) in by_said
    ]
    if found:
        raise Invalid("\n".join([f"{plan.questions}: questions must be held out. Remove them on one side.", *found]))


def short_names(cells: Sequence[BakeoffCell]) -> dict[str, str]:
    """The names of cells without the axes on which they are all alike."""
    varying = [axis for axis in AXES if len({cell.parts[axis] for cell in cells}) > 1]
    return {cell.name: " / ".join(cell.parts[axis] for axis in varying) if varying else cell.name for cell in cells}


def _said(question: Question) -> str:
    return " ".join(question.prompt.split()).casefold()
