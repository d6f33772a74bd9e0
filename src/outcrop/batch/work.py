"""The work on a batch job's records: many requests in flight, results written in the order of the lines.

Records are asked about as the shares allow, and their results wait for those before them. What waits is bounded by
number and bytes, so a job of a million lines takes no more memory than one of a hundred.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby

from outcrop.batch.answering import AnyTarget, Asking, InvocationType, output_of
from outcrop.batch.counts import BatchCounts
from outcrop.batch.inputs import InputPlan, RunFolder
from outcrop.batch.lines import InputLine, lines_of
from outcrop.batch.model import target_of
from outcrop.batch.outputs import Outputs
from outcrop.batch.progress import LineResult, ResultFile
from outcrop.batch.record import BatchRecord, LineError, LineOutput, record_of
from outcrop.batch.rooms import BatchRooms
from outcrop.engines.launchers import load_of
from outcrop.engines.states import EngineKind
from outcrop.errors import NotReady, OutcropError
from outcrop.jobs.running import StopRequested
from outcrop.loops import contained

_log = logging.getLogger("outcrop.batch")
_MOST_WAITING = 256
"Records that are asked about, or whose results wait for those before them."
_MOST_WAITING_BYTES = 64 << 20
_TICK_S = 0.25
_GRACE_S = 10.0
"So long a job that is to stop waits for the answers that are being made."
_FIND_EVERY_S = 1.0
_LOOK_EVERY_S = 1.0


class BatchExpired(OutcropError):
    """The time of a job is over."""


@dataclass(kw_only=True, eq=False)
class _RecordInFlight:
    """A record in flight; without a line, the end of its file."""

    number: int
    results: ResultFile
    line: InputLine | None = None
    record: BatchRecord | None = None
    output: "asyncio.Task[LineOutput] | LineOutput | None" = None

    @property
    def is_done(self) -> bool:
        return not isinstance(self.output, asyncio.Task) or self.output.done()

    @property
    def is_answered(self) -> bool:
        if not isinstance(self.output, asyncio.Task):
            return self.output is not None
        return self.output.done() and not self.output.cancelled() and self.output.exception() is None

    @property
    def size(self) -> int:
        return len(self.line.data) if self.line is not None and self.line.data is not None else 0

    def result(self) -> LineResult:
        """Raises what kept the record from being answered."""
        assert self.line is not None, "the end of a file has no result"
        assert self.record is not None, "a line is a record, or a flawed one"
        output = self.output.result() if isinstance(self.output, asyncio.Task) else self.output
        assert output is not None, "a result is asked for once it is there"
        return LineResult(
            self.line.number,
            self.line.end,
            self.record.result(output),
            output.error is not None,
            output.input_tokens,
            output.output_tokens,
        )


class BatchWork:
    """The work on the records of one job, on the event loop of all batch jobs."""

    def __init__(
        self,
        house: BatchRooms,
        model: str,
        plan: InputPlan,
        *,
        run: RunFolder,
        outputs: Outputs,
        counts: BatchCounts,
        form: InvocationType,
        seed: str,
        look: Callable[[], None],
        begins: Callable[[], None],
    ) -> None:
        """`model` is an ARN. `look` is called again and again, and raises what ends the work.

        `begins` is called once the model can be asked. `seed` stands for the job, in the ids of records that have none.
        """
        self._house = house
        self._model = model
        self._plan = plan
        self._run = run
        self._outputs = outputs
        self._counts = counts
        self._seed = seed
        self._look = look
        self._begins = begins
        self._waiting: deque[_RecordInFlight] = deque()
        self._waiting_bytes = 0
        self._running = 0
        self._has_others = False
        self._target: AnyTarget | None = None
        self._found_at = 0.0
        self._open: set[ResultFile] = set()
        self._asking = Asking(form=form, target=self._now, again=self._find_again, now=house.clock.now)

    async def run(self) -> None:
        """Answer every record that has no result yet. Raises what `look` raises, and Refusal for a model that is gone.

        However it ends, results that are there are written.
        """
        try:
            self._target = await self._found()
            self._begins()
            engine = self._target.base_id
            with self._house.batch_shares.using(engine):
                watching = asyncio.create_task(self._watch(engine))
                try:
                    await self._go_through(engine)
                except (StopRequested, BatchExpired):
                    await self._keep_what_is_made()
                    raise
                finally:
                    watching.cancel()
                    await self._cancel_running()
        finally:
            for results in self._open:
                results.close()

    async def _go_through(self, engine: str) -> None:
        lines = self._lines()
        while True:
            self._look()
            self._fill(lines, engine)
            if not self._waiting:
                return
            if not self._waiting[0].is_done:
                await asyncio.wait(self._tasks(), timeout=_TICK_S, return_when=asyncio.FIRST_COMPLETED)
            await self._write()
            await asyncio.sleep(0)  # a million flawed lines keep no other job waiting

    def _fill(self, lines: Iterator[_RecordInFlight], engine: str) -> None:
        share = self._house.batch_shares.share(engine, has_others=self._has_others)
        while (
            self._running < share
            and len(self._waiting) < _MOST_WAITING
            and self._waiting_bytes < _MOST_WAITING_BYTES
            and (waiting := next(lines, None)) is not None
        ):
            if waiting.record is not None and waiting.record.problem is None:
                waiting.output = asyncio.create_task(self._answer(waiting.record, engine))
                self._running += 1
            elif waiting.record is not None:
                waiting.output = LineOutput(error=LineError(400, waiting.record.problem or ""))
            self._waiting.append(waiting)
            self._waiting_bytes += waiting.size

    def _lines(self) -> Iterator[_RecordInFlight]:
        """Every record that has no result yet, and the end of every file."""
        for number, file in enumerate(self._plan.files):
            results = ResultFile(self._run.output(number))
            self._open.add(results)
            if not results.progress.is_whole:
                with self._run.input(number).open("rb") as lines:
                    done = results.progress
                    for line in lines_of(lines, offset=done.input_end, number=done.lines):
                        record = record_of(line, seed=f"{self._seed}:{file.name}")
                        yield _RecordInFlight(number=number, results=results, line=line, record=record)
            yield _RecordInFlight(number=number, results=results)

    async def _answer(self, record: BatchRecord, engine: str) -> LineOutput:
        self._house.batch_shares.began(engine)
        try:
            return await output_of(record, self._asking)
        finally:
            self._house.batch_shares.ended(engine)
            self._running -= 1

    async def _write(self) -> None:
        """Write the results at hand, up to the first that is not there yet."""
        while self._waiting and self._waiting[0].is_done:
            first = self._waiting[0]
            if first.line is None:
                self._taken(1)
                await self._end_file(first)
                continue
            results: list[LineResult] = []
            try:
                for each in self._waiting:
                    if each.line is None or not each.is_done:
                        break
                    results.append(each.result())
            finally:
                if results:
                    self._append(first.results, results)
                    self._taken(len(results))

    def _append(self, file: ResultFile, results: list[LineResult]) -> None:
        before = file.progress
        file.append(results)
        self._counts.add(file.progress, before)

    def _taken(self, number: int) -> None:
        for _ in range(number):
            self._waiting_bytes -= self._waiting.popleft().size

    async def _end_file(self, end: _RecordInFlight) -> None:
        if not end.results.progress.is_whole:
            end.results.finish()
        end.results.close()
        self._open.discard(end.results)
        await asyncio.to_thread(self._outputs.send, end.number, self._plan.files[end.number].name)

    async def _keep_what_is_made(self) -> None:
        """Wait a moment for the answers that are being made, and write those that are there. Lines between them that
        have none are left out, for the job ends here."""
        if running := self._tasks():
            await asyncio.wait(running, timeout=_GRACE_S)
        made = (each for each in self._waiting if each.line is not None and each.is_answered)
        for results, group in groupby(made, key=lambda each: each.results):
            self._append(results, [each.result() for each in group])

    async def _cancel_running(self) -> None:
        tasks = [each.output for each in self._waiting if isinstance(each.output, asyncio.Task)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tasks(self) -> "list[asyncio.Task[LineOutput]]":
        """The records that are being answered."""
        tasks = (each.output for each in self._waiting if isinstance(each.output, asyncio.Task))
        return [task for task in tasks if not task.done()]

    def _now(self) -> AnyTarget:
        assert self._target is not None, "records are asked about once a target is found"
        return self._target

    async def _found(self) -> AnyTarget:
        """The target, once there is one; whoever waits for an engine is heard meanwhile."""
        while True:
            self._look()
            try:
                return await asyncio.to_thread(target_of, self._house, self._model)
            except NotReady:
                await asyncio.sleep(_FIND_EVERY_S)

    async def _find_again(self) -> None:
        if time.monotonic() - self._found_at < _FIND_EVERY_S:
            return
        self._found_at = time.monotonic()
        try:
            self._target = await asyncio.to_thread(target_of, self._house, self._model)
        except NotReady:
            return  # it is on its way; the record asks again

    async def _watch(self, engine: str) -> None:
        """Look again and again whether the engine answers others too."""
        while True:
            with contained(_log, f"asking the engine of {engine} for its load"):
                running = await asyncio.to_thread(self._requests_of, engine)
                self._has_others = running > self._house.batch_shares.in_flight(engine)
            await asyncio.sleep(_LOOK_EVERY_S)

    def _requests_of(self, engine: str) -> int:
        order = self._house.engines.find(engine)
        if order is None or order.kind is not EngineKind.EMBEDDED:
            return 0
        load = load_of(order)
        return 0 if load is None else load.running
