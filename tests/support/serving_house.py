"""A whole serving house without a network: real records, pool, reconciler, targets and admission, engines that are
numbers, and time that stands still until it is moved.

Each model has a mark, and an engine that answers for it says the mark: an answer tells which weights it came from.
"""

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import anyio

from outcrop.access.caller import Caller
from outcrop.access.needs.named import Named
from outcrop.clock import MovableClock
from outcrop.deployments import precision
from outcrop.deployments.networks import provisioned_engines
from outcrop.deployments.states import ON_DEMAND, THROUGHPUT
from outcrop.engines.pool import Pool
from outcrop.errors import Refusal
from outcrop.house import House
from outcrop.inference.adapters_in_use import AdaptersInUse
from outcrop.inference.client import Delta, EngineAway, GenerationRequest, GreedyAnswer, UnknownAdapter
from outcrop.inference.request import TokenLogprob
from outcrop.invocation import invoke
from outcrop.invocation.exchange import uncounted
from outcrop.keys.sealed_content import seal
from outcrop.keys.sealed_folder import KEY_CONTEXT
from outcrop.machine.sealed_names import sealed_header
from outcrop.network import headers
from outcrop.network.parity_file import FILE, ParityRecord, Sample, text
from outcrop.settings import Settings
from outcrop.store.resources import Resource
from outcrop.store.watch import ChangeWatch
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.databases import wait_for_no_disk
from tests.support.engines_room import NumbersLauncher, Process
from tests.support.small_tokenizers import BUNDLED

REGION, ACCOUNT, BASE = "us-east-1", "123456789012", "outcrop.starter-v1"
FOUNDATION = f"arn:aws:bedrock:{REGION}::foundation-model/{BASE}:0:2k"
ADA = Caller(arn=f"arn:aws:iam::{ACCOUNT}:user/ada", account=ACCOUNT, user_id="AIDA", key_id="AKIAADA")
MARK = "mark.txt"
LOGPROB = -1.0
_SCORED = Sample(ids=[1, 2, 3], logprobs=[LOGPROB, LOGPROB])


class MovedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still until it is moved."""

    _moved = 0.0

    def time(self) -> float:
        return self._moved

    def move(self, seconds: float) -> None:
        self._moved += seconds

    def settle(self) -> None:
        """Let every task go on as far as it can without time."""

        async def turns() -> None:
            for _ in range(20):
                await asyncio.sleep(0)

        self.run_until_complete(turns())


@dataclass
class EngineProcess:
    """What a real engine holds beside its network: adapters with their marks, and requests that wait to go on."""

    process: Process
    adapters: dict[str, str] = field(default_factory=dict)
    uses: AdaptersInUse = field(default_factory=AdaptersInUse)
    going_on: asyncio.Event = field(default_factory=asyncio.Event)
    "What answers slowly waits for it."
    killed: bool = False


@dataclass
class EngineFleet:
    """The engines of the house, as their sockets show them."""

    launcher: NumbersLauncher
    clock: MovableClock
    idle_s: float
    tokenizer: Tokenizer
    slow: bool = False
    "Whether requests that begin now stand still after their first token until they are let go on."
    _engines: dict[int, EngineProcess] = field(default_factory=dict)

    def behind(self, socket: Path) -> EngineProcess:
        """The engine that listens there. Raises EngineAway where none takes requests."""
        for process in self.launcher.processes.values():
            if process.order.socket == socket and process.ready and process.alive and not process.retired:
                return self.of(process)
        raise EngineAway("The engine is not there. It is started again; ask again in a moment.")

    def of(self, process: Process) -> EngineProcess:
        found = self._engines.get(id(process))
        if found is None or found.process is not process:
            uses = AdaptersInUse(idle_s=self.idle_s, now=lambda: self.clock.now().timestamp())
            found = self._engines[id(process)] = EngineProcess(process, uses=uses)
        return found

    def tidy(self) -> None:
        """Let adapters go that nobody uses, as an engine does by itself."""
        for process in self.launcher.processes.values():
            engine = self.of(process)
            for name in engine.uses.idle():
                engine.uses.went(name)
                del engine.adapters[name]

    def let_go_on(self) -> None:
        for engine in self._engines.values():
            engine.going_on.set()

    def kill(self, name: str) -> None:
        """Let the process of an engine be killed: its supervisor starts another, which holds no adapter."""
        old = self.launcher.processes[name]
        engine = self.of(old)
        engine.killed = True
        engine.going_on.set()
        if old.retired:
            old.alive = False
        else:
            self.launcher.processes[name] = Process(
                old.order, held_bytes=old.order.estimated_bytes, idle_since=self.clock.now()
            )

    @contextmanager
    def used(self, engine: EngineProcess, name: str) -> Iterator[None]:
        process = engine.process
        process.running += 1
        try:
            with engine.uses.used(name):
                yield
        finally:
            process.running -= 1
            process.answered += 1
            process.idle_since = self.clock.now()
            if process.retired and not process.running:
                process.alive = False


class MarkedEngine:
    """The client of one engine: it answers with the mark of the model whose weights it is asked for."""

    def __init__(self, socket: Path, fleet: EngineFleet) -> None:
        self._socket = socket
        self._fleet = fleet

    async def generate(self, request: GenerationRequest) -> AsyncGenerator[Delta, None]:
        engine = self._fleet.behind(self._socket)
        ids = self._fleet.tokenizer.encode(self._mark(engine, request.model), begin=False)
        slow, going_on = self._fleet.slow, engine.going_on
        with self._fleet.used(engine, request.model):
            yield Delta(ids[:1], None)
            if slow:
                going_on.clear()
                await going_on.wait()
            if engine.killed:
                raise EngineAway("The engine is not there. It is started again; ask again in a moment.")
            yield Delta([*ids[1:], *request.stop_token_ids[:1]], "stop")

    async def score(self, model: str, ids: list[int]) -> list[float]:
        engine = self._fleet.behind(self._socket)
        wrong = 5.0 if self._mark(engine, model).startswith("bad") else 0.0
        with self._fleet.used(engine, model):
            return [LOGPROB - wrong] * (len(ids) - 1)

    async def score_tokens(self, model: str, ids: list[int], *, likeliest: int = 0) -> list[TokenLogprob]:
        del likeliest
        return [TokenLogprob(*one) for one in zip(ids[1:], await self.score(model, ids), strict=True)]

    async def answer_greedily(
        self, model: str, prompts: list[list[int]], *, num_tokens: int, prompt_tokens_per_step: int | None = None
    ) -> list[GreedyAnswer]:
        del prompt_tokens_per_step
        engine = self._fleet.behind(self._socket)
        self._mark(engine, model)
        with self._fleet.used(engine, model):
            return [GreedyAnswer([1] * num_tokens, [LOGPROB] * num_tokens) for _ in prompts]

    async def load_adapter(self, name: str, path: Path, *, keys: str = "") -> None:
        assert bool(keys) == headers.is_sealed(path), "a sealed adapter comes with its keys, a plain one with none"
        engine = self._fleet.behind(self._socket)
        if name not in engine.adapters:
            engine.adapters[name] = (path / MARK).read_text()
            engine.uses.came(name, 1)

    async def unload_adapter(self, name: str) -> None:
        del self._fleet.behind(self._socket).adapters[name]

    async def models(self) -> list[str]:
        return sorted(self._fleet.behind(self._socket).adapters)

    async def dtype(self) -> str | None:
        return "float32"

    async def health(self) -> bool:
        try:
            self._fleet.behind(self._socket)
        except EngineAway:
            return False
        return True

    async def aclose(self) -> None:
        pass

    def _mark(self, engine: EngineProcess, model: str) -> str:
        if model in engine.adapters:
            return engine.adapters[model]
        if model != engine.process.order.name:
            raise UnknownAdapter(f"The engine does not hold this model: {model}")
        assert engine.process.order.folder is not None
        mark = engine.process.order.folder / MARK
        return mark.read_text() if mark.is_file() else "base"


class ServingHouse:
    """The house with its pool and reconciler; `pass_time` is what lets anything happen."""

    def __init__(self, home: Path, *, room_for: float = 4, idle: timedelta = timedelta(minutes=5)) -> None:
        self.clock, self.loop = MovableClock(), MovedLoop()
        self.settings = Settings(home=home, memory_limit=round(room_for * 600_000_000), idle=idle)
        self.house = House(self.settings, self.clock)
        wait_for_no_disk(self.house.store.engine)
        self.launcher = NumbersLauncher(self.clock)
        self.fleet = EngineFleet(self.launcher, self.clock, idle.total_seconds(), Tokenizer.open(BUNDLED))
        self._patches: list[Any] = [
            patch("outcrop.engines.clients.EngineClient", lambda socket: MarkedEngine(socket, self.fleet)),
            patch.object(anyio.to_thread, "run_sync", _at_once),
        ]
        for each in self._patches:
            each.start()
        self.pool = self._pool()
        self.reconciler = self.house.reconciler

    def close(self) -> None:
        self.fleet.let_go_on()
        self.loop.settle()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()
        self.house.close()
        for each in self._patches:
            each.stop()

    def _pool(self) -> Pool:
        house = self.house
        return Pool(
            house.engines,
            house.sharing,
            self.launcher,
            self.clock,
            watch=ChangeWatch(house.store.engine),
            provisioned=lambda: provisioned_engines(house.store.resources, house.catalog, house.models),
            measured=lambda _name, _numbers: None,
            idle=self.settings.idle,
        )

    def custom_model(self, mark: str, *, own_network: bool = False, key: str = "") -> str:
        """The ARN of a custom model whose weights say `mark`; one that says `bad…` fails its parity. `key` is the ARN of
        a KMS key that seals it."""
        model_arn = f"arn:aws:bedrock:{REGION}:{ACCOUNT}:custom-model/{BASE}:0:2k/{mark:x<12}"
        folder = self.house.models.folder(model_arn)
        folder.mkdir(parents=True)
        (folder / MARK).write_text(mark)
        (folder / FILE).write_text(text(ParityRecord(samples=[_SCORED])))
        if own_network:
            for file in BUNDLED.glob("*.json"):
                shutil.copy(file, folder)
        else:
            (folder / "adapter_config.json").write_text("{}")
        document: dict[str, Any] = {
            "baseId": BASE,
            "foundationModelArn": FOUNDATION,
            "baseModelArn": FOUNDATION,
            "promptFormat": "text",
        }
        if key:
            made = self.house.envelopes.make(key, {KEY_CONTEXT: model_arn})
            document["seal"] = made.wrapped.document()
            sealed = folder / ("model.safetensors" if own_network else "adapter_model.safetensors")
            sealed.write_bytes(seal(b"weights", made))
            header = b'{"w": {"dtype": "U8", "shape": [7], "data_offsets": [0, 7]}}'
            sealed_header(sealed).write_bytes(len(header).to_bytes(8, "little") + header)
        self.house.models.add(
            model_arn=model_arn, name=mark, region=REGION, created=self.clock.now(), document=document
        )
        return model_arn

    def deploy(
        self,
        model_arn: str,
        *,
        name: str,
        kind: str = ON_DEMAND,
        num_units: int = 1,
        tags: Mapping[str, str] | None = None,
    ) -> Resource:
        details: dict[str, Any] = {"description": None}
        if kind == THROUGHPUT:
            details = {"foundationModelArn": FOUNDATION, "modelUnits": num_units, "commitmentExpirationTime": None}
        details |= precision.details_of(tags or {})
        return self.house.deployments.create(
            kind, name=name, region=REGION, account=ACCOUNT, model_arn=model_arn, details=details
        )

    def row(self, arn: str) -> Resource:
        found = self.house.store.resources.get(arn)
        assert found is not None
        return found

    def prepared(self, arn: str) -> invoke.PreparedInvocation:
        """An invocation of a deployment, as it is planned now. Raises what the caller would be told."""
        row = self.row(arn)
        named = Named(kind=row.kind, arn=arn, is_known=True)
        target = self.house.targets.resolve(arn, named, row, caller=ADA)
        body = json.dumps({"inputText": "hi", "textGenerationConfig": {"maxTokenCount": 16}}).encode()
        return self.loop.run_until_complete(invoke.prepare(target, body, now=self.clock.now()))

    def ask(self, arn: str) -> "asyncio.Task[str]":
        """An invocation under way, whose answer is the mark of whoever answered."""
        prepared = self.prepared(arn)

        async def answer() -> str:
            return (await invoke.answered(prepared, count=uncounted)).text

        task = self.loop.create_task(answer())
        self.loop.settle()
        return task

    def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, in steps after each of which pool, engines and reconciler do what is due."""
        for _ in range(max(1, round(seconds / step))):
            self.turn()
            self.clock.move(timedelta(seconds=step))
            self.loop.move(step)
            self.loop.settle()
        self.turn()

    def turn(self) -> None:
        self.pool.round()
        for process in self.launcher.processes.values():
            process.ready = process.ready or self.clock.now() > (process.idle_since or self.clock.now())
        self.fleet.tidy()
        self.loop.run_until_complete(self.reconciler.turn())
        self.loop.settle()

    def until(self, holds: Callable[[], bool], *, within_s: float = 120) -> None:
        for _ in range(round(within_s)):
            if holds():
                return
            self.pass_time(1)
        assert holds(), "waited in vain"

    def settle_all(self) -> None:
        """Until no deployment waits for an engine."""
        self.until(lambda: not self.house.deployments.pending(most=1))


def outcome(task: "asyncio.Task[str]") -> str | Refusal | None:
    """The answer, what the caller was told, or None while it goes on. Raises what no caller should be told."""
    if not task.done():
        return None
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, Refusal):
        return error
    raise error


async def _at_once(work: Callable[..., Any], *arguments: Any, **_options: Any) -> Any:
    """In place of a thread: what is to happen, happens before time moves."""
    return work(*arguments)
