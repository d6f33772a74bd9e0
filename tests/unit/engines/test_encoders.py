"""Encoders are ordered, started and let go as the engines of text models are; their processes are told what they do."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.engines import launchers
from outcrop.engines.launchers import LocalLauncher
from outcrop.engines.states import EngineKind
from outcrop.network.model_task import ModelTask
from outcrop.settings import Settings
from tests.support.engines_room import EnginesRoom


class ToldChild:
    """A child that is not started, and what it would have been started with."""

    told: "list[tuple[str, list[str]]]" = []  # noqa: RUF012 (of the class: the launcher makes the children)

    def __init__(self, _name: str, module: str, arguments: list[str], **_more: Any) -> None:
        self.told.append((module, arguments))

    def keep_alive(self) -> None:
        pass


@pytest.mark.parametrize("task", list(ModelTask))
def test_the_task_of_a_network_stands_in_its_order_and_is_told_to_its_process(
    task: ModelTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = EnginesRoom(tmp_path)
    order = room.engines.order(replace(room.model("vectors"), task=task, engine_task=task))
    assert (order.task, order.kind) == (task, EngineKind.EMBEDDED)
    monkeypatch.setattr(launchers, "Child", ToldChild)
    monkeypatch.setattr(ToldChild, "told", [])
    LocalLauncher(Settings(home=tmp_path), memory_bytes=1).start(order)
    ((module, arguments),) = ToldChild.told
    assert module == "outcrop.probe.engine"  # it was never tried
    assert arguments[arguments.index("--task") + 1] == task


def test_a_text_model_that_stands_in_is_one_engine_for_both(tmp_path: Path) -> None:
    room = EnginesRoom(tmp_path)
    base = room.model("text")
    order = room.engines.order(replace(base, task=ModelTask.EMBEDDING))
    assert order.task is ModelTask.TEXT
    assert room.engines.order(base).name == order.name


def test_an_encoder_makes_room_for_another_engine_and_comes_back(tmp_path: Path) -> None:
    room = EnginesRoom(tmp_path, room_for=1)
    encoder = replace(room.model("vectors"), task=ModelTask.EMBEDDING, engine_task=ModelTask.EMBEDDING)
    room.engines.order(encoder)
    room.use("vectors")
    room.order("text")
    room.rounds(40)
    assert room.states() == {"vectors": "Evicted", "text": "Ready"}
    room.launcher.answer("text")
    room.engines.order(encoder)
    room.rounds(40)
    assert room.states() == {"vectors": "Ready", "text": "Evicted"}
    assert room.found("vectors").task is ModelTask.EMBEDDING
