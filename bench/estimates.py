"""`make bench-estimates`: what a run is said to need before it starts, held against what it takes.

Each case is a model of random weights, a method, a length of records and a budget of tokens a row, trained for a few
steps in a process of its own, with evaluations and checkpoints as in a job. The estimate is made before, by another
process, from the model's files and the lengths. Processor time is estimated as that of one thread which takes all
records; it says more than time where other programs run. Goals: memory within 15 %, time within 25 %.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.measuring import Row, report
from outcrop.machine import allocator
from outcrop.network.adapters.method import DEFAULT, OFT, Full, LoRA, Method

if TYPE_CHECKING:
    from outcrop.training.task import TrainingTask

MEMORY, TIME = 0.15, 0.25


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run. Every tenth record is held out."""

    architecture: str = "llama"
    width: int = 256
    layers: int = 4
    vocabulary: int = 16_000
    method: Method = DEFAULT
    record_tokens: int = 128
    token_budget: int = 1024
    records: int = 20
    batch_size: int = 9

    def __str__(self) -> str:
        size = f"{self.architecture} {self.width} x {self.layers}, vocabulary {self.vocabulary:,}"
        return f"{size}, {self.method.name}, records of {self.record_tokens}, rows of {self.token_budget:,}"


CASES = (
    Case(),
    Case(width=512, vocabulary=32_000),
    Case(record_tokens=1024, token_budget=512, records=10, batch_size=4),
    Case(method=LoRA(rank=16, alpha=32, decomposed=True)),
    Case(method=OFT(block_size=32)),
    Case(width=512, vocabulary=32_000, method=Full(), records=150),  # time for a checkpoint with all that is learned
    Case(architecture="qwen3", vocabulary=32_000),
    Case(architecture="gemma2", record_tokens=256),
    Case(architecture="gpt2"),
    Case(width=1024, layers=8, vocabulary=32_000, records=10),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of cases, from 0")
    parser.add_argument("--part", choices=("say", "do"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    chosen: Sequence[int] = range(len(CASES)) if given.only is None else given.only
    if given.part:
        print(json.dumps((_say if given.part == "say" else _do)(CASES[chosen[0]], given.folder)))
        return
    rows = [row for number in chosen for row in _rows(number)]
    report("estimates", rows, ["ours: estimated; peer: measured. Met within 15 % (memory) or 25 % (time) either way."])


def _rows(number: int) -> list[Row]:
    case = CASES[number]
    with tempfile.TemporaryDirectory() as place:
        said, done = (_part(part, number, Path(place)) for part in ("say", "do"))
    print(f"  {case}\n    {said}\n    {done}", file=sys.stderr)
    return [
        _row(f"{case}: memory", said["bytes"] / 2**20, done["bytes"] / 2**20, "MiB", MEMORY),
        _row(f"{case}: time", said["seconds"], done["seconds"], "s", TIME),
        _row(f"{case}: processor time", said["processor_s"], done["processor_s"], "s", TIME),
    ]


def _row(name: str, ours: float, peer: float, unit: str, within: float) -> Row:
    ratio = ours / peer
    return Row(
        name=name, ours=round(ours, 2), peer=round(peer, 2), unit=unit, ratio=round(ratio, 3), goal=within,
        met=abs(ratio - 1) <= within,
    )  # fmt: skip


def _part(part: str, number: int, folder: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.estimates", "--part", part, "--only", str(number), "--folder", str(folder)]
    environment = {**os.environ, **allocator.for_tensors(), "GOMP_SPINCOUNT": "100000"}  # as the worker is started
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def _say(case: Case, folder: Path) -> dict[str, Any]:
    """The model is made here, so that nothing of that is in the process that is measured."""
    import torch

    from outcrop.training.data import read
    from outcrop.training.estimate.duration import measure_speed
    from outcrop.training.estimate.requirements import estimate, lengths_of

    _make(case, folder)
    task = _task(case, folder)
    lengths = lengths_of(read(task))
    found = estimate(folder, lengths, task.hyper)
    # All replicas together do the work of one that takes all records; it is counted in the threads' own time.
    own = measure_speed(torch.get_num_threads(), now=time.thread_time)
    alone = estimate(folder, lengths, replace(task.hyper, threads=1), speed=own)
    return {
        "bytes": found.memory.total,
        "seconds": found.seconds,
        "processor_s": alone.seconds,
        "parts": found.to_text(),
    }


def _do(case: Case, folder: Path) -> dict[str, Any]:
    from outcrop.training import pretrain
    from outcrop.training.estimate import machine
    from outcrop.training.metrics import Hooks

    began: list[float] = []

    def begin(_start: object) -> None:
        began.extend((time.perf_counter(), time.process_time()))

    result = pretrain.train(_task(case, folder), Hooks(on_start=begin))
    steps = sum(step.seconds for step in result.step_metrics)
    return {
        "bytes": machine.peak_bytes(),
        "seconds": time.perf_counter() - began[0],
        "processor_s": time.process_time() - began[1],
        "steps_s": steps,
        "steps": result.steps,
    }


def _task(case: Case, folder: Path) -> "TrainingTask":
    from outcrop.training.task import TrainingHyper, TrainingTask

    hyper = TrainingHyper(
        epochs=2, batch_size=case.batch_size, learning_rate=1e-4, method=case.method,
        token_budget=case.token_budget, evaluations_per_epoch=1, checkpoint_every_s=0.0,
    )  # fmt: skip
    return TrainingTask(
        base_dir=folder, base_name="bench", parent_adapter=None, train=folder / "train.jsonl",
        validators=(folder / "validation.jsonl",), customization="CONTINUED_PRE_TRAINING", hyper=hyper,
        run_dir=folder / "run", output_dir=folder / "out",
    )  # fmt: skip


def _write_records(case: Case, folder: Path) -> None:
    """Of lengths from half to one and a half of what the case says; a word is a token."""
    draw = random.Random(0)
    size = case.record_tokens
    lengths = [draw.randint(size // 2, size + size // 2) for _ in range(case.records)]
    lines = [
        json.dumps({"input": " ".join(f"w{draw.randrange(case.vocabulary - 1)}" for _ in range(length))}) + "\n"
        for length in lengths
    ]
    held_out = case.records // 10
    (folder / "validation.jsonl").write_text("".join(lines[:held_out]))
    (folder / "train.jsonl").write_text("".join(lines[held_out:]))


def _write_tokenizer(case: Case, folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"</s>": 0, **{f"w{number}": number + 1 for number in range(case.vocabulary - 1)}}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="</s>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>").save_pretrained(folder)


def _make(case: Case, folder: Path) -> None:
    import transformers

    heads = case.width // 64
    sizes: dict[str, Any] = {
        "vocab_size": case.vocabulary, "max_position_embeddings": 4096, "eos_token_id": 0, "bos_token_id": None,
        "pad_token_id": None, "hidden_size": case.width, "intermediate_size": 4 * case.width,
        "num_hidden_layers": case.layers,
        "num_attention_heads": heads, "num_key_value_heads": heads // 2, "head_dim": 64,
    }  # fmt: skip
    kinds = {
        "llama": lambda: transformers.LlamaConfig(**sizes),
        "qwen3": lambda: transformers.Qwen3Config(**sizes),
        "gemma2": lambda: transformers.Gemma2Config(**{**sizes, "sliding_window": 128}),
        "gpt2": lambda: transformers.GPT2Config(
            vocab_size=case.vocabulary, n_embd=case.width, n_layer=case.layers, n_head=heads, n_positions=4096,
            attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0, eos_token_id=0, bos_token_id=None,
        ),
    }  # fmt: skip
    network = transformers.AutoModelForCausalLM.from_config(kinds[case.architecture]())
    network.save_pretrained(folder)
    _write_tokenizer(case, folder)
    _write_records(case, folder)


if __name__ == "__main__":
    main()
