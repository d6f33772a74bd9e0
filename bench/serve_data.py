"""What all contestants of `make bench-serve` have in common: prompts, adapters, and a turn's question and answer."""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from bench.train_data import SHAPES, Turns

PROMPT_TOKENS = 128
RANK, ALPHA = 16, 32
FIRSTS = 3
"How often a turn asks for first tokens alone: single ones wander by a seventh on a machine that others share."
COMPARED = 32
"Ids of each answer that contestants are held against each other by."


class Asked(NamedTuple):
    """The question of one turn."""

    prompts: list[list[int]]
    num_tokens: int
    adapters: list[str | None]
    "Of each prompt; None is the bare base."


@runtime_checkable
class PutsAway(Protocol):
    """A contestant that has something to do after it has answered."""

    def put_away(self) -> None: ...


@runtime_checkable
class TellsFirsts(Protocol):
    """A contestant that answers some prompts before others."""

    firsts: list[float]
    "Seconds until the first token of each prompt, of the last question."


Answer = Callable[[Asked], Sequence[Sequence[int]]]
"Gives the ids that are generated greedily after each prompt; none ends an answer."


def serve(make: Callable[[dict[str, Any]], Answer], spec: dict[str, Any]) -> None:
    """Answer turns until there are no more: the time of one token each and of all of them, and the first ids.

    Beside them the time until a prompt's first token, of the median prompt.
    """
    turns = Turns()  # first: some print while they start
    answer = make(spec)
    turns.answer(ready=True)
    for number, line in enumerate(sys.stdin):
        question = json.loads(line)
        alone, medians = [], []
        for each in range(FIRSTS):
            first_s, _ = timed(answer, ask(spec, question, 1, f"{number} {each}"))
            # Whoever answers all at once keeps each prompt waiting for the last.
            firsts = answer.firsts if isinstance(answer, TellsFirsts) else [first_s]
            alone.append(first_s)
            medians.append(statistics.median(firsts))
        whole_s, ids = timed(answer, ask(spec, question, question["tokens"], f"{number} whole"))
        turns.answer(
            first_s=statistics.median(alone),
            median_first_s=statistics.median(medians),
            whole_s=whole_s,
            ids=[list(each)[:COMPARED] for each in ids],
        )
    os._exit(0)


def timed(answer: Answer, asked: Asked) -> tuple[float, Sequence[Sequence[int]]]:
    """Until the last token is there; what a contestant does behind it is nobody's wait."""
    began = time.perf_counter()
    ids = answer(asked)
    took = time.perf_counter() - began
    if isinstance(answer, PutsAway):
        answer.put_away()
    return took, ids


def ask(spec: dict[str, Any], question: dict[str, Any], num_tokens: int, seed: str) -> Asked:
    """Prompts of a turn: the same for every contestant, and never those of another turn."""
    numbers = random.Random(seed)
    most = SHAPES[spec["shape"]]["vocab_size"] - 1
    streams, num_adapters = question["streams"], question["adapters"]
    prompts = [[numbers.randint(3, most) for _ in range(PROMPT_TOKENS)] for _ in range(streams)]
    adapters = [adapter_name(row % num_adapters) if num_adapters else None for row in range(streams)]
    return Asked(prompts, num_tokens, adapters)


def adapter_name(number: int) -> str:
    return f"adapter{number}"


def adapters_of(spec: dict[str, Any]) -> dict[str, Path]:
    """Adapters as PEFT saves them, by name."""
    return {path.name: path for path in sorted(Path(spec["adapters"]).iterdir())} if spec.get("adapters") else {}
