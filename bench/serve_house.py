"""`make bench-serve-house`: an installation's door beside its own engine's socket; adapters and engines that come.

One client asks both for the same streams in turns, so that what differs is the way between them: signature or key,
permission, quotas, tokens to text, the count and the record of each call. The network has random weights, in the shape
of 26 million parameters, and a tokenizer of whole words.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import train_data
from bench.load import free_port
from bench.measuring import Row, higher_is_better, lower_is_better, report
from bench.serve_data import PROMPT_TOKENS
from bench.serve_streams import Place, Rate, streams
from outcrop.cli import export
from outcrop.clock import SystemClock
from outcrop.engines.states import EngineState
from outcrop.house import House
from outcrop.inference.client import EngineClient
from outcrop.settings import Settings

MODEL = "bench.small-v1"
STREAMS, TOKENS = 8, 128
RANK = 16
SWAPS = 40
"A swap takes milliseconds, and the machine wanders within them."
FIRST_MS, KEEPS, SWAP_MS, WAKES_S = 3.0, 0.95, 10.0, 1.0
"Goals: what the door adds to the first token, keeps of the rate, and so on."


@dataclass(frozen=True, kw_only=True)
class Home:
    """An installation that is up, with one engine that answers."""

    settings: Settings
    door: Place
    engine: Place
    vocabulary: int

    def prompts(self, num: int, *, seed: int) -> list[list[int]]:
        return prompts_of(num, seed=seed, vocabulary=self.vocabulary)


def main() -> None:
    given = arguments()
    with tempfile.TemporaryDirectory() as place, up(Path(place), given.shape) as home:
        turns = in_turns(home, given)
        rows = [*door_rows(turns, given), *swap_rows(home)]
    with tempfile.TemporaryDirectory() as place:
        rows.append(waking(Path(place), given))
    report("serve-house", rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=9, help="of each side; medians count")
    parser.add_argument("--streams", type=int, default=STREAMS, help="at once")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of each answer")
    parser.add_argument("--shape", choices=sorted(train_data.SHAPES), default="small", help="of the network")
    return parser.parse_args()


@contextmanager
def up(home: Path, shape: str, *arguments: str, **variables: str) -> Iterator[Home]:
    """`outcrop up` with a network of this shape, whose engine is there. `arguments`: those of `engines add`."""
    train_data.write_model(home / "model", shape, dtype="float32")
    settings = Settings(home=home / "home", port=free_port())
    outcrop("register", str(home / "model"), "--id", MODEL, "--home", str(settings.home))
    if arguments:
        outcrop("engines", "add", *arguments, "--model", MODEL, "--home", str(settings.home))
    command = [*program(), "up", "--home", str(settings.home), "--port", str(settings.port)]
    process = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline(), "outcrop up ended"
        yield opened(settings, train_data.SHAPES[shape]["vocab_size"])
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def opened(settings: Settings, vocabulary: int) -> Home:
    """The installation's addresses, once its engine has answered."""
    made = export.installation(settings)
    key = f"{made.access_key_id}:{made.secret_access_key}"
    door = Place(model=MODEL, endpoint=settings.endpoint, key=key)
    until(lambda: streams(door, prompts_of(1, seed=0, vocabulary=vocabulary), 2))
    with House(settings, SystemClock()) as house:
        (order,) = house.engines.orders()
    assert order.socket is not None
    engine = Place(model=order.name, socket=order.socket)
    return Home(settings=settings, door=door, engine=engine, vocabulary=vocabulary)


def in_turns(home: Home, given: argparse.Namespace) -> dict[str, list[Rate]]:
    """Both sides, with one stream and with many, one after the other; each turn has prompts of its own.

    Who was first in one turn is last in the next.
    """
    turns: dict[str, list[Rate]] = {}
    seed = 0
    sides = [("engine", home.engine), ("door", home.door)]
    for turn in range(1 + given.turns):
        sides.reverse()
        for num in (1, given.streams):
            for name, place in sides:
                seed += 1
                found = streams(place, home.prompts(num, seed=seed), given.tokens)
                print(f"  {turn}/{given.turns} {name}, {num}: {found}", file=sys.stderr)
                if turn:
                    turns.setdefault(f"{name} {num}", []).append(found)
    return turns


def door_rows(turns: dict[str, list[Rate]], given: argparse.Namespace, *, keeps: float = KEEPS) -> list[Row]:
    num = given.streams
    added = 1000 * (first_s(turns["door 1"]) - first_s(turns["engine 1"]))
    own, theirs = (tokens_per_s(turns[f"{name} {num}"]) for name in ("door", "engine"))
    limit = "ms, at most"
    return [
        lower_is_better("added to the first token", ours=max(added, 0.01), peer=FIRST_MS, unit=limit, goal=1),
        higher_is_better(
            f"{num} streams through the door; over the engine's own socket",
            ours=own, peer=theirs, unit="tokens/s", goal=keeps,
        ),
    ]  # fmt: skip


def first_s(turns: Sequence[Rate]) -> float:
    return statistics.median(each.first_s for each in turns)


def tokens_per_s(turns: Sequence[Rate]) -> float:
    return statistics.median(each.tokens_per_s for each in turns)


def swap_rows(home: Home) -> list[Row]:
    """An adapter of rank 16 is read into an engine that has answers to give, and taken out again."""
    adapter = home.settings.home.parent / "adapter"
    write_adapter(adapter, home.settings.home.parent / "model")
    assert home.engine.socket is not None
    milliseconds = asyncio.run(swaps(home.engine.socket, adapter, SWAPS))
    name = f"an adapter of rank {RANK} comes into the engine"
    return [lower_is_better(name, ours=milliseconds, peer=SWAP_MS, unit="ms, at most", goal=1)]


async def swaps(socket: Path, adapter: Path, times: int) -> float:
    """The median, in milliseconds."""
    took = []
    async with EngineClient(socket) as client:
        for number in range(times):
            began = time.perf_counter()
            await client.load_adapter(f"adapter{number}", adapter)
            took.append(1000 * (time.perf_counter() - began))
            await client.unload_adapter(f"adapter{number}")
    return statistics.median(took)


def waking(place: Path, given: argparse.Namespace) -> Row:
    """An engine that has gone for want of requests answers its next one."""
    took = []
    with up(place, given.shape, OUTCROP_IDLE_SECONDS="1") as home:
        time.sleep(10)  # the process that engines are forked from reads its libraries
        for seed in range(3):
            until(lambda: is_gone(home))
            took.append(streams(home.door, home.prompts(1, seed=seed), 1).first_s)
    name = "the first token of an idle deployment, whose engine has gone"
    return lower_is_better(name, ours=min(took), peer=WAKES_S, unit="s, at most", goal=1)


def is_gone(home: Home) -> bool:
    """Whether no engine is left, not even one that is about to end."""
    with House(home.settings, SystemClock()) as house:
        return all(order.state is EngineState.EVICTED for order in house.engines.orders())


def prompts_of(num: int, *, seed: int, vocabulary: int) -> list[list[int]]:
    chance = random.Random(f"{seed} {num}")
    return [[chance.randint(3, vocabulary - 1) for _ in range(PROMPT_TOKENS)] for _ in range(num)]


def write_adapter(folder: Path, model: Path) -> None:
    import peft
    import transformers

    network = transformers.AutoModelForCausalLM.from_pretrained(model)
    shape = peft.LoraConfig(r=RANK, target_modules="all-linear", init_lora_weights=False)
    peft.get_peft_model(network, shape).save_pretrained(folder)


def program() -> list[str]:
    return [sys.executable, "-m", "outcrop.cli.app"]


def outcrop(*arguments: str) -> None:
    subprocess.run([*program(), *arguments], check=True, stdout=subprocess.DEVNULL)


def until(holds: Callable[[], Any], *, within_s: float = 300) -> None:
    """Until it is true, and raises nothing."""
    ends = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return
        except RuntimeError:
            pass  # an engine that is starting
        if time.monotonic() > ends:
            raise SystemExit("The engine does not answer; nothing was measured.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
