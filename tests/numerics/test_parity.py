"""The parity gate on real engines: right ones are let in, and each wrong way to decode is caught."""

import asyncio
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from outcrop.deployments import parity
from outcrop.inference import compiled, forward, step_layout, step_proof, traced
from outcrop.inference.client import EngineClient
from outcrop.inference.compiled import CompiledDecoding
from outcrop.inference.door import EngineDoor
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.traced import TracedDecoding
from outcrop.inference.unix_http import UnixServer
from outcrop.network import load, parity_file
from outcrop.network.adapters import adapter_files
from outcrop.network.attention import attend_causal
from outcrop.network.fast.decoding import plan
from outcrop.network.fast.decoding.library import library
from outcrop.network.parity_file import ParityRecord
from outcrop.training import expectation
from outcrop.training.examples import ADAPTER, Example
from tests.numerics.test_training_loss import SHAPE, trained
from tests.support.tiny import CONTEXT_LENGTH, VOCAB_SIZE, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def socket() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))  # the path of a Unix socket is short
    yield folder / "engine"
    shutil.rmtree(folder)


def held_out(number: int) -> Example:
    """A prompt longer than the sliding windows, and a completion."""
    generator = random.Random(number)
    ids_T = torch.tensor([generator.randrange(6, VOCAB_SIZE) for _ in range(40 + number)])
    at_N = torch.arange(25 + number, 39 + number)
    return Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[at_N + 1], num_bytes=0, line=number)


def custom_model(base: Path, folder: Path) -> ParityRecord:
    """An adapter whose every weight is random, and what its trainer expects of an engine."""
    learned = trained(base, seed=1)
    folder.mkdir()
    adapter_files.save(folder, learned.network, ADAPTER, SHAPE, base="tiny")
    examples = [held_out(number) for number in range(3)]
    expected = expectation.of(learned.network, learned.routing, examples, context_length=CONTEXT_LENGTH)
    (folder / parity_file.FILE).write_text(parity_file.text(expected))
    return expected


def gate(base: Path, custom: Path, socket: Path) -> parity.Parity:
    """The custom model in an engine of its own, through its socket."""

    async def asked() -> parity.Parity:
        engine = EngineThread(lambda: Engine(base, cache_bytes=2**24))
        await engine.loaded
        server = UnixServer(socket, EngineDoor(engine, base_name="base").answer)
        await server.start()
        try:
            async with EngineClient(socket) as client:
                await client.load_adapter("custom", custom)
                return await parity.compare(client, "custom", custom)
        finally:
            await server.close(1.0)
            engine.stop(10)

    return asyncio.run(asked())


@pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gpt2", "phi3_longrope"])
def test_an_engine_that_decodes_rightly_is_let_in(architecture: str, tmp_path: Path, socket: Path) -> None:
    base = tiny_model(tmp_path / "base", architecture)
    expected = custom_model(base, tmp_path / "custom")
    assert [len(generation.ids) for generation in expected.generations] == [16]
    assert [len(generation.prompt) for generation in expected.generations] == [26]
    found = gate(base, tmp_path / "custom", socket)
    assert found.failure is None
    assert found.num_tokens == sum(len(sample.logprobs) for sample in expected.samples) + 3 * 16
    assert found.largest_difference < found.tolerance / 4


Patch = Callable[[pytest.MonkeyPatch], None]


def forgets_the_window(patch: pytest.MonkeyPatch) -> None:
    own = step_layout.decoding_mask
    for module in (step_layout, traced):
        patch.setattr(module, "decoding_mask", lambda lengths, _window, like: own(lengths, None, like))
    patch.setattr(traced, "_difference", lambda *_: 0.0)


def decodes_at_another_position(patch: pytest.MonkeyPatch) -> None:
    own = load.logits
    patch.setattr(forward, "record", lambda *_: None)

    def off_by_one(network: Any, ids: Any, positions: Any, layout: Any, *, at_N: Any) -> Any:
        return own(network, ids, positions + (1 if ids.shape[1] <= 2 else 0), layout, at_N=at_N)

    patch.setattr(forward, "logits", off_by_one)


def writes_keys_one_place_further(patch: pytest.MonkeyPatch) -> None:
    own = TracedDecoding._inputs

    def inputs(self: Any, shelf: Any, ids: Any) -> Any:
        found = own(self, shelf, ids)
        return found._replace(places_M=found.places_M + 1)

    patch.setattr(TracedDecoding, "_inputs", inputs)
    patch.setattr(traced, "_difference", lambda *_: 0.0)


def sees_what_lies_behind_a_shorter_sequence(patch: pytest.MonkeyPatch) -> None:
    own = step_layout.decoding_mask
    for module in (step_layout, traced):
        patch.setattr(
            module,
            "decoding_mask",
            lambda lengths, window, like: own(lengths.clamp(min=int(lengths.max())), window, like),
        )
    patch.setattr(traced, "_difference", lambda *_: 0.0)


def leaves_the_adapter_out_while_decoding(patch: pytest.MonkeyPatch) -> None:
    own = TracedDecoding.logits
    patch.setattr(
        TracedDecoding, "logits", lambda self, shelf, ids, _stacked, chosen: own(self, shelf, ids, None, chosen)
    )


def forgets_the_earlier_parts_of_a_prompt(patch: pytest.MonkeyPatch) -> None:
    own = attend_causal

    def forgets(q: Any, k: Any, v: Any, scoring: Any) -> Any:
        return own(q, k[:, -q.shape[1] :], v[:, -q.shape[1] :], scoring)

    patch.setattr(step_layout, "attend_causal", forgets)


def turns_by_another_position(patch: pytest.MonkeyPatch) -> None:
    own = plan.angles
    patch.setattr(compiled, "angles", lambda rotary, kind, positions: own(rotary, kind, positions + positions // 6))
    patch.setattr(step_proof._Trial, "difference", lambda *_: 0.0)


def reads_the_memory_of_its_neighbour(patch: pytest.MonkeyPatch) -> None:
    own = CompiledDecoding.logits

    def logits(self: Any, rows: Any) -> Any:
        turned = [row._replace(slot=other.slot) for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]
        return own(self, turned)

    patch.setattr(CompiledDecoding, "logits", logits)
    patch.setattr(step_proof._Trial, "difference", lambda *_: 0.0)


def leaves_the_adapter_out_of_the_compiled_step(patch: pytest.MonkeyPatch) -> None:
    own = CompiledDecoding.logits
    patch.setattr(
        CompiledDecoding, "logits", lambda self, rows: own(self, [row._replace(adapter=None) for row in rows])
    )


FAULTS: dict[str, tuple[str, Patch]] = {
    "window": ("mistral", forgets_the_window),
    "position": ("llama", decodes_at_another_position),
    "place in the cache": ("llama", writes_keys_one_place_further),
    "neighbour": ("llama", sees_what_lies_behind_a_shorter_sequence),
    "adapter": ("llama", leaves_the_adapter_out_while_decoding),
    "parts": ("llama", forgets_the_earlier_parts_of_a_prompt),
}
COMPILED_FAULTS: dict[str, tuple[str, Patch]] = {
    "position": ("llama", turns_by_another_position),
    "neighbour": ("llama", reads_the_memory_of_its_neighbour),
    "adapter": ("llama", leaves_the_adapter_out_of_the_compiled_step),
}


@pytest.mark.skipif(library() is None, reason="no C compiler here, or the C kernels are switched off")
@pytest.mark.parametrize("fault", COMPILED_FAULTS)
def test_an_engine_whose_compiled_step_is_wrong_is_not(
    fault: str, tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, patch = COMPILED_FAULTS[fault]
    base = tiny_model(tmp_path / "base", architecture)
    custom_model(base, tmp_path / "custom")
    patch(monkeypatch)
    failure = gate(base, tmp_path / "custom", socket).failure
    assert failure is not None
    assert failure.endswith("Its answers would not be those of the trained model.")


@pytest.mark.parametrize("fault", FAULTS)
def test_an_engine_that_decodes_wrongly_is_not(
    fault: str, tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    architecture, patch = FAULTS[fault]
    base = tiny_model(tmp_path / "base", architecture)
    expected = custom_model(base, tmp_path / "custom")
    monkeypatch.setattr(forward, "proven_step", lambda *_, **__: None)
    patch(monkeypatch)
    failure = gate(base, tmp_path / "custom", socket).failure
    assert failure is not None
    assert failure.endswith("Its answers would not be those of the trained model.")
    # and what is scored without decoding shows nothing of it
    (tmp_path / "custom" / parity_file.FILE).write_text(parity_file.text(ParityRecord(samples=expected.samples)))
    assert gate(base, tmp_path / "custom", socket).failure is None
