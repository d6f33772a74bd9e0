"""The engines' room with records of its own, base models that are headers only, a clock that is moved, and a launcher
whose engines are numbers."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.clock import MovableClock
from outcrop.engines.environments import EngineEnvironments
from outcrop.engines.estimate import PROCESS_BYTES
from outcrop.engines.launchers import Load, Standing
from outcrop.engines.orders import Engines, Order
from outcrop.engines.pool import Pool
from outcrop.engines.reservations import Reservations
from outcrop.engines.sharing import MemorySharing
from outcrop.machine.child import Child
from outcrop.settings import Settings
from outcrop.store.store import Store
from outcrop.store.watch import ChangeWatch

GIB = 2**30


@dataclass
class Process:
    """An engine as numbers."""

    order: Order
    ready: bool = False
    retired: bool = False
    alive: bool = True
    held_bytes: int = 0
    running: int = 0
    answered: int = 0
    idle_since: datetime | None = None
    failure: str | None = None


@dataclass
class NumbersLauncher:
    """A launcher that starts nothing: what its engines are, the test says."""

    clock: MovableClock
    processes: dict[str, Process] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    @property
    def children(self) -> list[Child]:
        return []

    def start(self, order: Order) -> None:
        self.started.append(order.name)
        process = Process(order, held_bytes=order.estimated_bytes, idle_since=self.clock.now())
        process.ready = not order.is_here
        self.processes[order.name] = process

    def end(self, name: str) -> None:
        del self.processes[name]

    def retire(self, name: str) -> bool:
        process = self.processes[name]
        process.retired = True
        process.alive = bool(process.running)
        return True

    def keep_alive(self) -> None:
        pass

    def standings(self) -> dict[str, Standing]:
        return {
            name: Standing(p.order.folder, p.ready, p.retired and not p.alive, p.held_bytes, p.failure, p.order.kind)
            for name, p in self.processes.items()
        }

    def load(self, order: Order) -> Load | None:
        process = self.processes[order.name]
        assert process.idle_since is not None
        return Load(process.running, process.answered, (self.clock.now() - process.idle_since).total_seconds())

    def answer(self, name: str) -> None:
        """Let an engine have answered a request just now."""
        self.processes[name].answered += 1
        self.processes[name].idle_since = self.clock.now()


class EnginesRoom:
    """Engines on record in `home`, within a budget of so many engines of the smallest size."""

    def __init__(self, home: Path, *, room_for: float = 2) -> None:
        self.home = home
        self.clock = MovableClock()
        settings = Settings(home=home / "home", memory_limit=round(room_for * PROCESS_BYTES * 1.05))
        self.store = Store.open(settings)
        self.engines = Engines(self.store, self.clock, settings)
        self.sharing = MemorySharing.open(self.store, self.clock, settings)
        self.reservations: Reservations = self.sharing.reservations
        self.environments = EngineEnvironments(self.store, self.clock)
        self.launcher = NumbersLauncher(self.clock)
        self.provisioned: set[str] = set()
        self.measured: list[tuple[str, dict[str, float]]] = []
        self.pool = Pool(
            self.engines,
            self.sharing,
            self.launcher,
            self.clock,
            watch=ChangeWatch(self.store.engine),
            provisioned=lambda: self.provisioned,
            measured=lambda name, numbers: self.measured.append((name, dict(numbers))),
        )

    def model(self, name: str, *, num_parameters: int = 1000) -> BaseModel:
        """A base model with so many numbers, none of them in a file: the header alone counts."""
        folder = self.home / name
        if not folder.exists():
            folder.mkdir()
            (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
            header = {"w": {"dtype": "F32", "shape": [num_parameters], "data_offsets": [0, 4 * num_parameters]}}
            text = json.dumps(header).encode()
            with (folder / "model.safetensors").open("wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                file.truncate(8 + len(text) + 4 * num_parameters)  # a hole: the disk holds none of it
        return BaseModel(
            id=name, context="1k", name=name, provider="local", context_length=64, folder=folder, engine=name
        )

    def order(self, name: str, **more: int) -> Order:
        return self.engines.order(self.model(name, **more))

    def states(self) -> dict[str, str]:
        return {order.name: str(order.state) for order in self.engines.orders()}

    def found(self, name: str) -> Order:
        return next(order for order in self.engines.orders() if order.name == name)

    def rounds(self, count: int = 4) -> None:
        """Rounds of the pool, a second apart; whatever starts is ready a round later."""
        for _ in range(count):
            self.pool.round()
            for process in self.launcher.processes.values():
                process.ready = True
            self.clock.move(timedelta(seconds=1))

    def use(self, name: str) -> None:
        """Ask for an engine until it has answered."""
        self.order(name)
        self.rounds()
        assert self.states()[name] == "Ready", self.found(name).waits
        self.launcher.answer(name)
