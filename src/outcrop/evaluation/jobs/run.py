"""An evaluation job from its record to its output: fetch, read, answer, grade, and write.

After a kill it is called again: data that was copied is not copied again, and what the journal holds is not asked
again.
"""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path

from outcrop.data.data import RoleData
from outcrop.datasets.problems import Problem, RecordError
from outcrop.errors import Invalid
from outcrop.evaluation.automated.accuracy import AccuracyMeasure, measure_of
from outcrop.evaluation.jobs.answering import (
    MOST_IN_FLIGHT,
    MOST_ON_OTHERS,
    Answering,
    AnswerKey,
    kept_answer,
    side_by_side,
)
from outcrop.evaluation.jobs.asking import AskedModel
from outcrop.evaluation.jobs.encoding import encode_with, encoder_arn
from outcrop.evaluation.jobs.grading import Grading, graded_turns, judged_metrics
from outcrop.evaluation.jobs.journal import AskedJournal
from outcrop.evaluation.jobs.outputs import JobOutputs
from outcrop.evaluation.jobs.plan import PROGRAMMATIC, EvaluatedDataset, SourceKind
from outcrop.evaluation.jobs.records import EvaluationRecord, check_number, read_dataset
from outcrop.evaluation.jobs.request import read_plan
from outcrop.evaluation.jobs.results import JobResults
from outcrop.evaluation.jobs.rooms import EvaluationRooms
from outcrop.evaluation.jobs.states import EvaluationStatus
from outcrop.evaluation.jobs.summary import SummedDataset, summary_of
from outcrop.invocation.background.models import seal_of
from outcrop.jobs.running import LONGEST_MESSAGE, RunningJob
from outcrop.machine.memory_folder import run_folder
from outcrop.store.damage import understood

MOST_MESSAGES = 20
"Of a failed job, as the service model has it."
_NOTE_EVERY_S = 2.0
_ENCODER = "encoder"
"The journal's key of the embedding model that was chosen, so that a resumed job computes as it began."
_Records = Sequence[Sequence[EvaluationRecord]]
"Those of each data set."


def run(house: EvaluationRooms, job: RunningJob) -> None:
    """Work on an evaluation job until it has ended. Raises Interrupted and StopRequested, and Refusal to fail."""
    _EvaluationRun(house, job).run()


class _EvaluationRun:
    """An evaluation job in the hands of a worker."""

    def __init__(self, house: EvaluationRooms, job: RunningJob) -> None:
        record = job.record
        self._house = house
        self._job = job
        self._region = record.region
        with understood(job.arn):
            self._plan = read_plan(record.document)
            self._role: str = record.document["roleArn"]
            self._output: str = record.document["outputDataConfig"]["s3Uri"]
            self._models: dict[str, str] = dict(record.document["models"])
            self._name = str(record.name)
        settings = house.settings
        sealed = settings.seal or any(seal_of(house, arn) is not None for arn in self._models.values())
        self._folder: Path = run_folder(settings.home, settings.runs, job.id, in_memory=sealed)
        self._asked: dict[str, AskedModel] = {}
        self._done = self._total = 0
        self._doing = ""
        self._noted_at = 0.0

    def run(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = self._house.data.under(self._role, source_arn=self._job.arn)
        try:
            records = self._read(data)
        except RecordError as flawed:
            messages = [str(each)[:LONGEST_MESSAGE] for each in flawed.problems[:MOST_MESSAGES]]
            self._job.end(EvaluationStatus.FAILED, failureMessage=messages[0], failureMessages=messages)
            return
        journal = AskedJournal(self._folder / "journal.jsonl")
        try:
            self._house.asking_loop.run(self._ask(records, journal))
            self._write(data, records, journal)
        finally:
            journal.close()

    def _read(self, data: RoleData) -> list[list[EvaluationRecord]]:
        """The records of each data set, copied here first. Raises RecordError with the flaws of all of them."""
        found: list[list[EvaluationRecord]] = []
        problems: list[Problem] = []
        for number, dataset in enumerate(self._plan.datasets):
            self._look()
            file = self._folder / f"dataset-{number}.jsonl"
            if not file.exists():
                data.fetch(dataset.uri, file)
            try:
                found.append(read_dataset(file, dataset, self._plan))
            except RecordError as flawed:
                problems += flawed.problems
        if problems:
            raise RecordError(problems)
        check_number(sum(map(len, found)), "the data sets together")
        return found

    async def _ask(self, records: _Records, journal: AskedJournal) -> None:
        """Ask for every answer and every grade that the journal does not have."""
        answers = [
            each for number in range(len(self._plan.sources)) for each in self._missing(number, records, journal)
        ]
        if answers:
            await self._find(each.identifier for each in self._plan.sources if each.kind is SourceKind.MODEL)
        await self._go_through("answers", answers)
        self._check_answered(records, journal)
        judges = [self._plan.judge_of(metric) for _, _, metric in self._judged()]
        await self._find(each for each in judges if each is not None)
        grading = Grading(self._plan, journal, self._asked)
        grades = [
            each
            for source, dataset, metric in self._judged()
            for turn in graded_turns(self._plan, source, dataset, records[dataset], journal, metric)
            for each in grading.missing(turn)
        ]
        await self._go_through("grades", grades)

    def _missing(self, number: int, records: _Records, journal: AskedJournal) -> list[Callable[[], Awaitable[None]]]:
        source = self._plan.sources[number]
        asks_knowledge = source.kind in (SourceKind.RETRIEVE, SourceKind.RETRIEVE_AND_GENERATE)
        answering = Answering(
            number,
            source,
            journal=journal,
            model=self._model(source.identifier) if source.kind is SourceKind.MODEL else None,
            knowledge=self._house.knowledge_under(self._role, self._region) if asks_knowledge else None,
            models=self._models,
            look=self._look,
        )
        return answering.missing(self._plan.datasets, records)

    def _judged(self) -> list[tuple[int, int, str]]:
        """Source, data set and metric of everything that a judge grades."""
        return [
            (source, number, metric)
            for source in range(len(self._plan.sources))
            for number, dataset in enumerate(self._plan.datasets)
            for metric in judged_metrics(dataset.metrics)
        ]

    def _check_answered(self, records: _Records, journal: AskedJournal) -> None:
        """Raises Invalid for a source that answered nothing at all: figures without an answer would say nothing."""
        for number, source in enumerate(self._plan.sources):
            answers = [
                kept_answer(journal, AnswerKey(source=number, dataset=place, line=record.line), source, record)
                for place, ours in enumerate(records)
                for record in ours
            ]
            if all(each.error is not None for each in answers):
                raise Invalid(f"{source.identifier} answered none of {len(answers)} prompts: {answers[0].error}")

    def _write(self, data: RoleData, records: _Records, journal: AskedJournal) -> None:
        """Compute what no judge grades, and write everything to S3."""
        outputs = JobOutputs(data, self._output, job_name=self._name, job_id=self._job.id)
        grading, parts = Grading(self._plan, journal, self._asked), list[SummedDataset]()
        for number, dataset in enumerate(self._plan.datasets):
            measure = self._measure(dataset, records[number], journal)
            for source in range(len(self._plan.sources)):
                self._look()
                results = JobResults(
                    plan=self._plan,
                    source=source,
                    dataset=number,
                    records=records[number],
                    journal=journal,
                    grading=grading,
                    models=self._models,
                    measure=measure,
                )
                parts.append(results.summed())
                outputs.send_lines(self._plan, source, number, results.lines(parts[-1]))
        outputs.send_metrics(self._plan.custom_metrics.values())
        sent_to = sorted({host for model in self._asked.values() for host in model.sent_to})
        outputs.send_summary(summary_of(self._plan, parts, sent_to=sent_to))

    def _measure(
        self, dataset: EvaluatedDataset, records: Sequence[EvaluationRecord], journal: AskedJournal
    ) -> AccuracyMeasure:
        references = [text for record in records for turn in record.turns for text in turn.references]
        arn = ""
        if dataset.task_type == "Summarization" and set(PROGRAMMATIC[:2]) & set(dataset.metrics):
            kept = journal.get(_ENCODER)
            if kept is None:
                kept = journal.add(_ENCODER, {"arn": encoder_arn(self._house, self._role, self._region) or ""})
            arn = str(kept["arn"])
        encode = encode_with(self._house, arn) if arn else None
        return measure_of(dataset.task_type, references, encode, arn)

    def _model(self, identifier: str) -> AskedModel:
        """The model by its identifier in the request; one that both answers and judges is one."""
        if identifier not in self._asked:
            arn = self._models[identifier]
            self._asked[identifier] = AskedModel(self._house, arn, role_arn=self._role, look=self._look)
        return self._asked[identifier]

    async def _find(self, identifiers: Iterable[str]) -> None:
        for identifier in dict.fromkeys(identifiers):
            await self._model(identifier).find()

    async def _go_through(self, doing: str, work: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._doing, self._done, self._total = doing, 0, len(work)
        most = MOST_ON_OTHERS if any(model.is_remote for model in self._asked.values()) else MOST_IN_FLIGHT
        await side_by_side(work, look=self._look, done=self._count, most=most)
        self._note()

    def _count(self) -> None:
        self._done += 1

    def _look(self) -> None:
        """Raises what ends the work: StopRequested, Interrupted."""
        self._job.check()
        if time.monotonic() - self._noted_at >= _NOTE_EVERY_S:
            self._note()

    def _note(self) -> None:
        self._noted_at = time.monotonic()
        if self._total:
            numbers = {"QuestionsAsked": float(self._done), "QuestionsLeft": float(self._total - self._done)}
            self._job.report(f"{self._done} of {self._total} {self._doing}", numbers)
