"""Five base models where two have room: an installation that is asked for each in turn, and what its engines hold."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.patience import eventually
from tests.support.servers import Installed, installed, outcrop
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

LIMIT_BYTES = 800 * 2**20
"An engine of a tiny network holds some 390 MB."
NAMES = tuple(f"local.tiny-{letter}-v1" for letter in "abcde")
MODULE = "outcrop.inference.serve"


@contextmanager
def five_models(home: Path) -> Iterator[Installed]:
    home.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(NAMES):
        folder = tiny_model(home / name, seed=seed)
        verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(folder))
        Catalog(home).register(
            folder, model_id=name, name=name, context_length=CONTEXT_LENGTH, licence="none", verdict=verdict
        )
    with installed(home, OUTCROP_MEMORY_LIMIT=str(LIMIT_BYTES), OUTCROP_PRELOAD="engines") as house:
        yield house


def ask(runtime: Any, model: str) -> str:
    """The model's answer to one and the same prompt."""
    answer = runtime.converse(
        modelId=model,
        messages=[{"role": "user", "content": [{"text": "one two"}]}],
        inferenceConfig={"maxTokens": 5, "temperature": 0},
    )
    return str(answer["output"]["message"]["content"])


def doctor(house: Installed) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(outcrop("doctor", "--home", str(house.settings.home), "--json").stdout)
    return told


class Watched:
    """The most that the engines of a home held together while it was watched, by what the kernel says.

    They are looked at one after the other: one may end, and another begin, while the watcher waits for a processor. So
    it looks twice, and counts what each held both times: what they held at one moment, between the two looks.
    """

    def __init__(self, house: Installed) -> None:
        self._root = psutil.Process(house.process.pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most_bytes = 0
        self.most_engines = 0

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_problem: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            before, after = _engines(self._root), _engines(self._root)
            held = [min(before[process], after[process]) for process in before.keys() & after.keys()]
            self.most_engines = max(self.most_engines, len(held))
            self.most_bytes = max(self.most_bytes, sum(held))


def _engines(root: psutil.Process) -> dict[psutil.Process, int]:
    """Bytes of each that are its own: pages of libraries the kernel takes back, and reads again, as it likes."""
    found = {}
    for process in root.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if MODULE in process.cmdline():
                held = process.memory_info()
                found[process] = held.rss - held.shared
    return found


def settled(house: Installed) -> dict[str, Any] | None:
    """What the doctor tells once no engine is on its way in or out."""
    told = doctor(house)
    return told if {one["state"] for one in told["engines"]} <= {"Ready", "Evicted"} else None


def in_turn(house: Installed, turns: Sequence[str]) -> None:
    """Ask each, and find that it answers as it did before, within the budget, and that the doctor tells of it."""
    runtime, answers = house.client("bedrock-runtime"), dict[str, str]()
    with Watched(house) as watched:
        for model in turns:
            answer = ask(runtime, model)
            assert answers.setdefault(model, answer) == answer
    # Mostly two: where the kernel takes back pages of libraries that nobody reads, three may fit.
    assert 0 < watched.most_engines < len(set(turns))
    assert 0 < watched.most_bytes <= LIMIT_BYTES
    assert len(set(answers.values())) == len(set(turns))  # each by its own network
    told = eventually(lambda: settled(house))
    assert told["memory"]["budgetBytes"] == LIMIT_BYTES
    assert 0 < told["memory"]["heldBytes"] <= LIMIT_BYTES
    states = {one["name"]: one["state"] for one in told["engines"]}
    assert set(states) == set(turns)
    assert states[turns[-1]] == "Ready"
    assert "Evicted" in states.values()
    assert told["wrong"] == []
