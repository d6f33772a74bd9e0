"""A batch job from its record to its output: validate, answer, deliver, and end in the right state.

After a kill it is called again: what was copied is not copied again, and every line that has a result keeps it.
"""

import time
from datetime import datetime

from outcrop.batch.answering import InvocationType
from outcrop.batch.counts import BatchCounts
from outcrop.batch.inputs import InputPlan, RunFolder, fetch
from outcrop.batch.outputs import Outputs
from outcrop.batch.progress import FileProgress
from outcrop.batch.rooms import BatchRooms
from outcrop.batch.states import BatchStatus
from outcrop.batch.work import BatchExpired, BatchWork
from outcrop.errors import Conflict, Invalid, Refusal
from outcrop.invocation.background.models import check_may_invoke, seal_of
from outcrop.jobs.full_disk import is_passing
from outcrop.jobs.jobs import JobEnded
from outcrop.jobs.running import RunningJob, StopRequested
from outcrop.machine.memory_folder import run_folder
from outcrop.metrics.series import Unit, series
from outcrop.store.damage import understood

_NAMESPACE = "AWS/Bedrock/Batch"
"As Bedrock names it; the metrics are told by model."
_NOTE_EVERY_S = 2.0


def run(house: BatchRooms, job: RunningJob) -> None:
    """Work on a batch job until it has ended. Raises Interrupted, and StopRequested once what is done is delivered."""
    _Batch(house, job).run()


class _Batch:
    """A batch job in the hands of a worker."""

    def __init__(self, house: BatchRooms, job: RunningJob) -> None:
        document = job.record.document
        self._house = house
        self._job = job
        with understood(job.arn):
            self._model: str = document["modelArn"]
            self._role: str = document["roleArn"]
            self._form = InvocationType(document["modelInvocationType"])
            self._expires = datetime.fromisoformat(document["jobExpirationTime"])
            self._input: str = document["inputDataConfig"]["s3InputDataConfig"]["s3Uri"]
            output = document["outputDataConfig"]["s3OutputDataConfig"]
            self._output: str = output["s3Uri"]
            self._sealed_by: str = output.get("s3EncryptionKeyId", "")
        settings = house.settings
        sealed = bool(self._sealed_by) or settings.seal or seal_of(house, self._model) is not None
        self._run = RunFolder(run_folder(settings.home, settings.runs, job.id, in_memory=sealed))
        self._counts = BatchCounts(total=0)
        self._noted_at = 0.0
        self._told_tokens = (0, 0)

    def run(self) -> None:
        self._run.folder.mkdir(parents=True, exist_ok=True)
        data = self._house.data.under(self._role, source_arn=self._job.arn, kms_key_id=self._sealed_by)
        outputs = Outputs(data, self._output, self._job.id, self._run)
        plan = self._run.plan()
        try:
            self.look()
            if plan is None:
                self._enter(BatchStatus.VALIDATING)
                plan = fetch(data, self._input, self._run, check=self.look)
                self._check(plan)
            self._count(plan, outputs)
            self._enter(BatchStatus.SCHEDULED)
            self._house.asking_loop.run(self._work(plan, outputs).run())
            self._end(plan, outputs)
        except StopRequested:
            self._deliver(plan, outputs)
            raise
        except BatchExpired as over:
            self._deliver(plan, outputs)
            self._job.end(BatchStatus.EXPIRED, **self._counts.members(), failureMessage=over.message)
        except Refusal as refused:
            if is_passing(refused) or isinstance(refused, JobEnded) or not self._counts.processed:
                raise
            self._deliver(plan, outputs)
            members = {**self._counts.members(), "failureMessage": refused.message}
            self._job.end(BatchStatus.PARTIALLY_COMPLETED, **members)

    def look(self) -> None:
        """Raises what ends the work: StopRequested, Interrupted, BatchExpired."""
        self._job.check()
        if self._house.clock.now() >= self._expires:
            raise BatchExpired(
                f"The job did not finish by {self._expires:%Y-%m-%d %H:%M} UTC: its time is over. What was done by "
                "then is in the output."
            )
        if time.monotonic() - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = time.monotonic()
            self._note()

    def _work(self, plan: InputPlan, outputs: Outputs) -> BatchWork:
        return BatchWork(
            self._house,
            self._model,
            plan,
            run=self._run,
            outputs=outputs,
            counts=self._counts,
            form=self._form,
            seed=self._job.id,
            look=self.look,
            begins=lambda: self._enter(BatchStatus.IN_PROGRESS),
        )

    def _check(self, plan: InputPlan) -> None:
        """Raises Invalid where there is too little to do, or the role may not."""
        least = self._house.settings.batch_least_records
        if plan.records < max(1, least):
            raise Invalid(
                f"Batch job {self._job.arn} contains less records ({plan.records}) than the required minimum of: "
                f"{max(1, least)}"
            )
        check_may_invoke(self._house, self._role, self._model)

    def _count(self, plan: InputPlan, outputs: Outputs) -> None:
        """Take in what earlier workers have done."""
        self._counts.total = plan.records
        for number, _ in enumerate(plan.files):
            self._counts.add(outputs.progress(number), FileProgress())
        self._told_tokens = self._counts.input_tokens, self._counts.output_tokens

    def _enter(self, status: BatchStatus) -> None:
        """Move on to the next state, unless the job is there or beyond. Raises StopRequested."""
        order = [*BatchStatus]
        now = BatchStatus(self._job.record.status)
        if now is BatchStatus.STOPPING:
            raise StopRequested(f"{self._job.arn}: it was asked to stop.")
        if order.index(now) >= order.index(status):
            return
        try:
            self._job.move(status)
        except JobEnded:
            raise
        except Conflict as stopping:  # asked to stop in this very moment
            raise StopRequested(stopping.message) from stopping

    def _note(self) -> None:
        counts = self._counts
        if not counts.total:
            return
        self._job.note(**counts.members())
        pending = counts.total - counts.processed
        self._job.report(
            f"{counts.processed} of {counts.total} records",
            {"RecordsProcessed": counts.processed, "RecordsPending": pending, "RecordErrors": counts.errors},
        )
        before, self._told_tokens = self._told_tokens, (counts.input_tokens, counts.output_tokens)
        for metric, value in (
            ("NumberOfRecordsPendingProcessing", pending),
            ("NumberOfInputTokensProcessedPerMinute", counts.input_tokens - before[0]),
            ("NumberOfOutputTokensProcessedPerMinute", counts.output_tokens - before[1]),
        ):
            self._house.points.add(series(_NAMESPACE, metric, {"ModelId": self._model}, unit=Unit.COUNT), value)

    def _deliver(self, plan: InputPlan | None, outputs: Outputs) -> None:
        """Write to S3 what there is of a job that ends early."""
        if plan is None:
            return
        self._counts = BatchCounts(total=0)
        self._count(plan, outputs)
        outputs.send_rest(plan)
        outputs.send_manifest(self._counts)
        self._job.note(**self._counts.members())

    def _end(self, plan: InputPlan, outputs: Outputs) -> None:
        self._note()
        outputs.send_manifest(self._counts)
        problems = [*plan.unread, *outputs.unsent]
        members = self._counts.members()
        if not problems:
            self._job.end(BatchStatus.COMPLETED, **members)
            return
        message = " ".join(problems)[:2048]
        nothing = len(outputs.unsent) > len(plan.files)  # each file, and the manifest
        status = BatchStatus.FAILED if nothing else BatchStatus.PARTIALLY_COMPLETED
        self._job.end(status, **members, failureMessage=message)
