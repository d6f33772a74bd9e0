"""`make bench-train`: optimizer steps of our trainer beside those of TRL's SFTTrainer and of transformers' Trainer.

Each contestant is a process that takes one step when it is told to, so that all of them meet the same weather of the
machine. First every setting of a peer takes a few steps and the fastest is kept; then the best of each library and we
take turns. Data: random ids, lognormal lengths, loss on completions. Rates are of tokens that are no padding.
`make bench-train-gpu` is the same in bf16 on a GPU, with FlashAttention and Liger's kernels for the peer.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bench import train_data
from bench.measuring import PEERS, ROOT, Row, environment, higher_is_better, lower_is_better, report
from bench.train_data import COMPLETION_TOKENS, LONGEST, PROMPT_TOKENS, Record
from bench.train_ours import in_our_order
from outcrop.machine import allocator

PACKAGES = ("torch==2.13.0", "trl==1.16.0", "transformers==5.23.0", "peft==0.21.2", "accelerate", "datasets")
GPU_PACKAGES = (*PACKAGES, "liger-kernel", "flash-attn")
WORK = ROOT / "build" / "bench" / "train"
WARM_UP, TRIED = 1, 2
Library = Literal["trl", "hf"]
Way = Literal["packed", "single", "padded", "grouped"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is trained, and how many times faster than the peers we mean to be."""

    name: str
    shape: str
    method: Literal["lora", "full"]
    batch: int
    "Records of a step; of plain text, rows."
    trl_goal: float
    hf_goal: float | None
    "None: there is nothing to gain from padding less, so that this library is left out."
    memory_goal: float | None = None
    utilization_goal: float | None = None
    plain_text: bool = False
    longest: int = LONGEST


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A peer, and how it is run."""

    library: Library
    way: Way
    tuned: bool
    "With our settings of the allocator, which anyone could make."

    def __str__(self) -> str:
        return f"{self.library}-{self.way}{'+malloc' if self.tuned else ''}"


@dataclass(frozen=True, kw_only=True)
class Turn:
    """The measurements that a contestant reports of one training step. Peers do not tell operations."""

    seconds: float
    cpu_seconds: float
    "Of all its threads."
    tokens: int
    peak_bytes: int
    loss: float
    flops: float = 0.0
    matmul_flops: float = 0.0


WORKS = (
    Work(name="small-lora", shape="small", method="lora", batch=16, trl_goal=3.0, hf_goal=1.9, memory_goal=4 / 3),
    Work(name="small-full", shape="small", method="full", batch=16, trl_goal=2.3, hf_goal=1.7),
    Work(
        name="qwen05-lora", shape="qwen05", method="lora", batch=8, trl_goal=2.0, hf_goal=1.6, memory_goal=4 / 3,
        utilization_goal=0.58,
    ),
    Work(name="small-text", shape="small", method="lora", batch=4, trl_goal=1.3, hf_goal=None, plain_text=True),
)  # fmt: skip
QUICK = (Work(name="tiny-lora", shape="tiny", method="lora", batch=4, trl_goal=3.0, hf_goal=1.9, longest=64),)
GPU = (
    Work(name="qwen05-lora", shape="qwen05", method="lora", batch=64, trl_goal=1.0, hf_goal=None),
    Work(name="qwen7-lora", shape="qwen7", method="lora", batch=32, trl_goal=1.0, hf_goal=None),
)


class Contestant:
    """A process that trains, one step a turn."""

    def __init__(self, python: Path, module: str, spec: dict[str, Any], *, tuned: bool) -> None:
        changed = allocator.for_tensors() if tuned else {}
        self._process = subprocess.Popen(
            [str(python), "-m", module, json.dumps(spec)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            stderr=None if os.environ.get("BENCH_LOUD") else subprocess.DEVNULL,
            env={**os.environ, "HF_HUB_OFFLINE": "1", **changed},
        )  # fmt: skip
        self._read()

    def step(self) -> Turn:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Turn(**self._read())

    def end(self) -> None:
        """Out of turns, it ends by itself."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"A contestant ended ({self._process.wait()}). Set BENCH_LOUD=1 to see its own words.")
        told: dict[str, Any] = json.loads(line)
        return told


def main() -> None:
    given = arguments()
    if given.device == "cuda" and not has_gpu():
        print("No NVIDIA GPU answers here (nvidia-smi); nothing was run.")
        return
    gpu = given.device == "cuda"
    python = environment("train-gpu" if gpu else "train", GPU_PACKAGES if gpu else PACKAGES)
    works = [work for work in works_of(given) if given.only in (None, work.name)]
    rows: list[Row] = []
    notes: list[str] = []
    for work in works:
        found, note = compare(work, python, given)
        rows += found
        notes.append(note)
    if given.quick:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        report("-".join(filter(None, ["train", "gpu" if gpu else "", given.only])), rows, notes)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[work.name for work in (*WORKS, *QUICK, *GPU)])
    parser.add_argument("--steps", type=int, default=5, help="measured steps of each contestant; medians count")
    parser.add_argument("--peers", help="settings to try, e.g. trl-packed,hf-single+malloc; all of them by default")
    parser.add_argument("--batch", type=int, help="records of a step, where the machine is small")
    parser.add_argument("--threads", type=int, help="of each contestant; by default torch chooses")
    parser.add_argument("--row-tokens", type=int, help="most tokens of a row of ours; by default the trainer's")
    parser.add_argument("--quick", action="store_true", help="a tiny network and few steps: proves that this runs")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def works_of(given: argparse.Namespace) -> Sequence[Work]:
    return QUICK if given.quick else GPU if given.device == "cuda" else WORKS


def compare(work: Work, python: Path, given: argparse.Namespace) -> tuple[list[Row], str]:
    batch = given.batch or work.batch
    model = model_of(work, given.device)
    most = WARM_UP + max(given.steps, TRIED)
    common = {
        "model": str(model), "method": work.method, "device": given.device, "batch": batch, "learning_rate": 1e-4,
        "steps": most, "longest": work.longest, "threads": given.threads, "token_budget": given.row_tokens,
        **write_data(records_of(work, batch * most), batch, WORK / work.name),
    }  # fmt: skip
    start = partial(peer, python, common, work)
    tried = {setting: rate_of(try_out(start, setting)) for setting in settings_of(work, given)}
    best = {setting.library: setting for setting in sorted(tried, key=tried.__getitem__)}  # the last of each stays
    turns = interleaved(start, common, best, num=given.steps)
    return rows_of(work, turns), note_of(work, best, turns)


def write_data(records: Sequence[Record], batch: int, folder: Path) -> dict[str, str]:
    """The records as they are, and as our loop takes them: every contestant shall learn the same at the same step."""
    folder.mkdir(parents=True, exist_ok=True)
    train_data.write_records(folder / "records.jsonl", records)
    train_data.write_records(folder / "in_order.jsonl", in_our_order(records, batch=batch))
    return {"records": str(folder / "records.jsonl"), "in_order": str(folder / "in_order.jsonl")}


def model_of(work: Work, device: str) -> Path:
    dtype = "bfloat16" if device == "cuda" else "float32"
    folder = WORK / f"{work.shape}-{dtype}"
    folder.mkdir(parents=True, exist_ok=True)
    return train_data.write_model(folder, work.shape, dtype=dtype)


def records_of(work: Work, num: int) -> list[Record]:
    make = train_data.texts if work.plain_text else train_data.completions
    return make(num, vocabulary=train_data.SHAPES[work.shape]["vocab_size"], longest=work.longest)


def settings_of(work: Work, given: argparse.Namespace) -> list[Setting]:
    """The settings of each library that an expert would try."""
    ways: list[tuple[Library, Way]] = [("trl", "packed")]
    if given.device == "cpu" and not work.plain_text:
        ways += [("trl", "single"), ("trl", "padded"), ("hf", "single"), ("hf", "grouped"), ("hf", "padded")]
    if given.quick:
        ways = [("trl", "packed"), ("hf", "single")]
    tuned = (False, True) if given.device == "cpu" and not given.quick else (False,)
    found = [Setting(library=library, way=way, tuned=with_) for library, way in ways for with_ in tuned]
    wanted = given.peers.split(",") if given.peers else [str(setting) for setting in found]
    return [setting for setting in found if str(setting) in wanted]


def peer(python: Path, common: dict[str, Any], work: Work, setting: Setting) -> Contestant:
    batch = common["batch"]
    mean = LONGEST if work.plain_text else PROMPT_TOKENS + COMPLETION_TOKENS
    match setting.way:
        case "packed":  # one full row at a time, as many rows as a step's records fill
            micro, accumulate = 1, max(1, round(batch * mean / LONGEST))
        case "single":
            micro, accumulate = 1, batch
        case "padded" | "grouped":
            micro, accumulate = batch // 2, 2
    spec = {**common, "library": setting.library, "way": setting.way, "micro_batch": micro, "accumulate": accumulate}
    return Contestant(python, "bench.train_peer", spec, tuned=setting.tuned)


@contextmanager
def ended(contestant: Contestant) -> Iterator[Contestant]:
    try:
        yield contestant
    finally:
        contestant.end()


def try_out(start: partial[Contestant], setting: Setting) -> list[Turn]:
    with ended(start(setting)) as contestant:
        turns = [contestant.step() for _ in range(WARM_UP + TRIED)][WARM_UP:]
    tell(str(setting), turns[-1])
    return turns


def interleaved(
    start: partial[Contestant], common: dict[str, Any], best: dict[Library, Setting], *, num: int
) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {}
    with ExitStack() as stack:
        contestants = {str(library): stack.enter_context(ended(start(setting))) for library, setting in best.items()}
        ours = Contestant(Path(sys.executable), "bench.train_ours", common, tuned=True)
        contestants["ours"] = stack.enter_context(ended(ours))
        for step in range(WARM_UP + num):
            for name, contestant in contestants.items():
                turn = contestant.step()
                tell(f"{step}/{num} {name}", turn)
                if step >= WARM_UP:
                    turns.setdefault(name, []).append(turn)
    return turns


def rows_of(work: Work, turns: dict[str, list[Turn]]) -> list[Row]:
    ours = turns["ours"]
    peers = {name: found for name, found in turns.items() if name != "ours"}
    goals = {"trl": ("TRL at its best", work.trl_goal), "hf": ("transformers' Trainer at its best", work.hf_goal)}
    rates = {library: rate_of(found) for library, found in peers.items()}
    rows = []
    for library, rate in sorted(rates.items(), reverse=True):
        name, goal = goals[library]
        assert goal is not None, "a library without a goal is not run"
        told = {"ours": rate_of(ours), "peer": rate, "ratio": ratio_of(ours, peers[library], rate_in_turn)}
        rows.append(higher_is_better(f"{work.name}; {name}", **told, unit="tokens/s", goal=goal))
    fastest = peers[max(rates, key=rates.__getitem__)]
    if work.memory_goal is not None:
        memory = {"ours": peak_of(ours), "peer": peak_of(fastest)}
        name = f"{work.name}, peak memory; the faster of them"
        rows.append(lower_is_better(name, **memory, unit="GB", goal=work.memory_goal))
    if work.utilization_goal is not None:
        used = statistics.median(turn.flops for turn in ours) / 1e9
        peak = statistics.median(turn.matmul_flops for turn in ours) / 1e9
        name = f"{work.name}, useful operations; the fp32 product of matrices at its best"
        rows.append(higher_is_better(name, ours=used, peer=peak, unit="GFLOP/s", goal=work.utilization_goal))
    return rows


def note_of(work: Work, best: dict[Library, Setting], turns: dict[str, list[Turn]]) -> str:
    """Processor time is what a crowded machine changes least; with one thread, none of it is spent on waiting."""
    ours = turns["ours"]
    told = [f"{s}: {ratio_of(ours, turns[library], per_cpu_second):.2f}" for library, s in sorted(best.items())]
    return (
        f"{work.name}, the peers' best settings, and our tokens a second of processor time by theirs: {', '.join(told)}"
    )


def ratio_of(ours: Sequence[Turn], peer: Sequence[Turn], rate: Callable[[Turn], float]) -> float:
    """The median of what each turn gives: its steps are of the same records, and of the machine at the same speed."""
    return statistics.median(rate(own) / rate(other) for own, other in zip(ours, peer, strict=True))


def per_cpu_second(turn: Turn) -> float:
    return turn.tokens / turn.cpu_seconds


def rate_in_turn(turn: Turn) -> float:
    return turn.tokens / turn.seconds


def rate_of(turns: Sequence[Turn]) -> float:
    return statistics.median(map(rate_in_turn, turns))


def peak_of(turns: Sequence[Turn]) -> float:
    return turns[-1].peak_bytes / 1e9


def tell(name: str, turn: Turn) -> None:
    rate = turn.tokens / turn.seconds
    print(f"  {name}: {rate:.4g} tokens/s, {turn.peak_bytes / 1e9:.2f} GB, loss {turn.loss:.4f}", file=sys.stderr)


def has_gpu() -> bool:
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def is_installed() -> bool:
    """Whether the peers' environment is there, so that a test need not make it."""
    return (PEERS / "train" / "installed.json").exists()


if __name__ == "__main__":
    main()
