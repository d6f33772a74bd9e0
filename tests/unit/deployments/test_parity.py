"""What the gate lets in: tolerances that follow from the type, and which other tokens are none the worse."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from outcrop.deployments import parity
from outcrop.inference.client import GreedyAnswer
from outcrop.json_files import FileProblem
from outcrop.network import parity_file
from outcrop.network.parity_file import Generation, ParityRecord, RunnerUp, Sample

SAMPLE = Sample(ids=[1, 2, 3], logprobs=[-1.0, -2.0])
# Two nearly equal tokens at the second place, none at the others.
GENERATION = Generation(
    prompt=[5, 6, 7, 8],
    ids=[10, 20, 30],
    logprobs=[-0.1, -0.7, -0.2],
    rivals=[[RunnerUp(11, -3.0)], [RunnerUp(21, -0.70001), RunnerUp(22, -2.0)], [RunnerUp(31, -4.0)]],
)
EXPECTED = ParityRecord(samples=[SAMPLE], generations=[GENERATION], dtype="float32", largest_logit=10.0)


@dataclass
class Engine:
    """Says what it is told to after each beginning of an answer, and the trainer's own tokens otherwise."""

    instead: dict[int, tuple[int, float]] = field(default_factory=dict)
    computes_in: str | None = "float32"
    scores: list[float] = field(default_factory=lambda: [-1.0, -2.0])
    only: Any = None
    "Goes wrong for such a request alone: (number of prompts, whether in chunks)."
    asked: list[tuple[list[list[int]], int, int | None]] = field(default_factory=list)

    async def dtype(self) -> str | None:
        return self.computes_in

    async def score(self, model: str, ids: Sequence[int]) -> list[float]:  # noqa: ARG002
        return self.scores

    async def answer_greedily(
        self,
        model: str,  # noqa: ARG002
        prompts: list[list[int]],
        *,
        num_tokens: int,
        prompt_tokens_per_step: int | None = None,
    ) -> list[GreedyAnswer]:
        self.asked.append((prompts, num_tokens, prompt_tokens_per_step))
        done = len(prompts[0]) - len(GENERATION.prompt)
        said = list(zip(GENERATION.ids, GENERATION.logprobs, strict=True))[done : done + num_tokens]
        if self.only is None or self.only == (len(prompts), prompt_tokens_per_step is not None):
            said = [self.instead.get(done + place, one) for place, one in enumerate(said)]
        answer = GreedyAnswer([token for token, _ in said], [logprob for _, logprob in said])
        return [answer, *[GreedyAnswer([0] * num_tokens, [0.0] * num_tokens)] * (len(prompts) - 1)]


def compared(engine: Engine, folder: Path, expected: ParityRecord = EXPECTED) -> parity.Parity:
    (folder / parity_file.FILE).write_text(parity_file.text(expected))
    return asyncio.run(parity.compare(engine, "m", folder))  # type: ignore[arg-type]


def test_an_engine_that_says_the_same_is_let_in_after_answering_in_three_ways(tmp_path: Path) -> None:
    engine = Engine()
    found = compared(engine, tmp_path)
    assert (found.failure, found.num_tokens, found.largest_difference) == (None, 2 + 3 * 3, 0.0)
    assert [(len(prompts), len(prompts[-1]) > len(prompts[0]), chunk) for prompts, _, chunk in engine.asked] == [
        (1, False, None),
        (1, False, 1),
        (2, True, None),
    ]


def test_a_token_that_is_as_likely_is_none_the_worse_and_the_trainer_s_answer_goes_on(tmp_path: Path) -> None:
    engine = Engine(instead={1: (21, -0.70001)}, only=(1, False))
    assert compared(engine, tmp_path).failure is None
    assert [prompts[0] for prompts, _, chunk in engine.asked if len(prompts) == 1 and chunk is None] == [
        [5, 6, 7, 8],
        [5, 6, 7, 8, 10, 20],
    ]


@pytest.mark.parametrize("only", [(1, False), (1, True), (2, False)], ids=["alone", "in parts", "beside another"])
@pytest.mark.parametrize(("at", "token"), [(0, 11), (1, 22), (2, 99)])
def test_any_other_token_is_a_failure_in_every_way(at: int, token: int, only: tuple[int, bool], tmp_path: Path) -> None:
    failure = compared(Engine(instead={at: (token, -0.1)}, only=only), tmp_path).failure
    assert failure is not None
    assert f"the engine generates the token {token} at place {at + 1} of its answer to a held-out prompt" in failure
    ways = {(1, False): "alone", (1, True): "with the prompt read in parts", (2, False): "beside a longer neighbour"}
    assert ways[only] in failure


def test_the_right_token_with_another_probability_is_a_failure(tmp_path: Path) -> None:
    failure = compared(Engine(instead={2: (30, -0.21)}), tmp_path).failure
    assert failure is not None
    assert failure.startswith("the engine's log probabilities differ from the trainer's by 0.01 nats (allowed 0.00015)")


def test_many_small_differences_are_a_failure_where_one_is_none(tmp_path: Path) -> None:
    allowed = parity.tolerance(EXPECTED, "float32")
    assert compared(Engine(scores=[-1.0 - allowed / 5, -2.0]), tmp_path).failure is None
    failure = compared(Engine(scores=[-1.0 - allowed / 5, -2.0 + allowed / 5]), tmp_path).failure
    assert failure is not None
    assert failure.startswith("the engine's log probabilities differ from the trainer's by 3.1e-05 nats in the mean")


@pytest.mark.parametrize("scores", [[-1.0, -2.1], [float("nan"), -2.0], [-1.0, float("nan")]])
def test_other_scores_are_a_failure_and_so_is_no_number(scores: list[float], tmp_path: Path) -> None:
    assert compared(Engine(scores=scores), tmp_path).failure is not None


@pytest.mark.parametrize(
    ("trained_in", "served_in", "allowed"),
    [
        ("float32", "float32", 10 * 256 / 2**24),
        ("float32", None, 10 * 256 / 2**24),
        ("float32", "bfloat16", 10 * 16 / 2**8),
        ("bfloat16", "float32", 10 * 16 / 2**8),
        ("float16", "float16", 10 * 16 / 2**11),
        ("float32", "float8_e4m3fn", 10 * 16 / 2**8),
    ],
)
def test_the_tolerance_is_that_of_the_coarser_type(trained_in: str, served_in: str | None, allowed: float) -> None:
    expected = ParityRecord(samples=[SAMPLE], dtype=trained_in, largest_logit=10.0)
    assert parity.tolerance(expected, served_in) == pytest.approx(allowed)


def test_an_older_file_is_a_list_of_samples_and_is_compared_by_these_alone(tmp_path: Path) -> None:
    (tmp_path / "parity.json").write_text(json.dumps([{"ids": [1, 2, 3], "logprobs": [-1.0, -2.0]}]))
    found = asyncio.run(parity.compare(Engine(), "m", tmp_path))  # type: ignore[arg-type]
    assert (found.failure, found.num_tokens) == (None, 2)
    (tmp_path / "parity.json").write_text("[]")
    failure = asyncio.run(parity.compare(Engine(), "m", tmp_path)).failure  # type: ignore[arg-type]
    assert failure is not None
    assert "holds no token to compare" in failure


@pytest.mark.parametrize(
    "text",
    [
        "[1]", "null", "1", '"x"', "{}", "not json", "[[]]", '{"samples": 1}', '{"samples": [{"ids": [1]}]}',
        '[{"ids": [1, 2], "logprobs": []}]', '[{"ids": [1, -2], "logprobs": [-1.0]}]', '[{"ids": "ab", "logprobs": [1]}]',
        '[{"ids": [1, 2], "logprobs": ["x"]}]', '{"samples": [], "largest_logit": NaN}', '{"samples": [], "dtype": 3}',
        '{"samples": [], "generations": [{"prompt": [], "ids": [], "logprobs": [], "rivals": []}]}',
        '{"samples": [], "generations": [{"prompt": [1], "ids": [2], "logprobs": [-1], "rivals": []}]}',
        '{"samples": [], "generations": [{"prompt": [1], "ids": [2], "logprobs": [-1], "rivals": [[3]]}]}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused_with_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "parity.json").write_text(text)
    with pytest.raises(FileProblem, match=r"^parity\.json: "):
        parity_file.read(tmp_path)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    (tmp_path / parity_file.FILE).write_text(parity_file.text(EXPECTED))
    assert parity_file.read(tmp_path) == EXPECTED
