import random
from collections.abc import Sequence

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from outcrop.errors import Invalid
from outcrop.inference.request import Sampling
from outcrop.inference.sampling import SamplingRow, candidates, changed, draw, sample

VOCAB_SIZE = 2000


def row(sampling: Sampling, ids: Sequence[int] = (), *, num_generated: int = 0) -> SamplingRow:
    return SamplingRow(sampling, random.Random(sampling.seed), ids, num_generated)


def logits(seed: int, spread: float = 3.0) -> torch.Tensor:
    return torch.randn(VOCAB_SIZE, generator=torch.Generator().manual_seed(seed)) * spread


def probabilities_by_transformers(logits_V: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    warpers = LogitsProcessorList([TemperatureLogitsWarper(sampling.temperature)])
    if sampling.top_k:
        warpers.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        warpers.append(TopPLogitsWarper(sampling.top_p))
    if sampling.min_p:
        warpers.append(MinPLogitsWarper(sampling.min_p))
    return torch.softmax(warpers(torch.zeros(1, 1, dtype=torch.long), logits_V.unsqueeze(0)), dim=-1)[0]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0),
        Sampling(temperature=0.3),
        Sampling(temperature=1.0, top_p=0.9),
        Sampling(temperature=1.0, top_p=0.01),
        Sampling(temperature=5.0, top_p=0.99),  # a nucleus of nearly everything
        Sampling(temperature=1.0, top_k=5),
        Sampling(temperature=0.7, top_k=50, top_p=0.8),
        Sampling(temperature=1.0, top_k=10 * VOCAB_SIZE),
        Sampling(temperature=1.0, min_p=0.05),
        Sampling(temperature=1.0, min_p=1.0),
        Sampling(temperature=2.0, top_k=100, top_p=0.95, min_p=0.1),
    ],
    ids=str,
)
def test_what_may_be_drawn_equals_transformers_warpers(sampling: Sampling) -> None:
    for seed in range(3):
        found = candidates(logits(seed), sampling)
        ours_V = torch.zeros(VOCAB_SIZE).index_add(0, found.ids, found.probabilities)
        torch.testing.assert_close(ours_V, probabilities_by_transformers(logits(seed), sampling), atol=1e-6, rtol=1e-4)


def test_temperature_0_takes_the_likeliest_token_whatever_else_is_asked() -> None:
    row_V = logits(0)
    greedy = Sampling(temperature=0, top_p=0.1, top_k=3, seed=1)
    assert sample(row_V.unsqueeze(0), [row(greedy)]) == [int(row_V.argmax())]


def test_top_p_0_and_top_k_1_leave_only_the_likeliest_token() -> None:
    row_V = logits(0)
    for sampling in (Sampling(temperature=1, top_p=0), Sampling(temperature=1, top_k=1)):
        assert candidates(row_V, sampling).ids.tolist() == [int(row_V.argmax())]


def test_a_tiny_temperature_does_not_overflow() -> None:
    row_V = logits(0)
    assert draw(candidates(row_V, Sampling(temperature=1e-40)), random.Random(0)) == int(row_V.argmax())


def test_tokens_come_as_often_as_they_are_likely() -> None:
    row_V = torch.tensor([0.5, 0.3, 0.2]).log()
    generator = random.Random(0)
    drawn = [draw(candidates(row_V, Sampling(temperature=1.0)), generator) for _ in range(4000)]
    frequencies = [drawn.count(token) / 4000 for token in range(3)]
    assert frequencies == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_a_seed_draws_the_same_tokens_beside_any_others() -> None:
    seeded = Sampling(temperature=1.0, seed=7)
    alone = sample(logits(0).unsqueeze(0), [row(seeded)])
    rows_NV = torch.stack([logits(1), logits(0), logits(2)])
    others = Sampling(temperature=1.0, seed=8)
    beside = sample(rows_NV, [row(others), row(seeded), row(others)])
    assert beside[1] == alone[0]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"temperature": -0.1}, "temperature: -0.1 is not a number of at least 0. Use 0 for greedy decoding."),
        ({"temperature": float("nan")}, "temperature: nan is not a number of at least 0. Use 0 for greedy decoding."),
        ({"top_p": 1.1}, "top_p: 1.1 is not between 0 and 1. Use 1 to keep every token."),
        ({"min_p": 2}, "min_p: 2 is not between 0 and 1. Use 0 to keep every token."),
        ({"repetition_penalty": 0}, "repetition_penalty: 0 is not above 0. Use 1 for no penalty."),
        ({"presence_penalty": 3}, "presence_penalty: 3 is not between -2 and 2. Use 0 for no penalty."),
        ({"frequency_penalty": float("nan")}, "frequency_penalty: nan is not between -2 and 2. Use 0 for no penalty."),
        ({"logit_bias": {5: 101}}, "logit_bias: 101 of token 5 is not between -100 and 100."),
        ({"top_k": -2}, "top_k: -2 is below 0. Use 0 to keep every token."),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(values: dict[str, float], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        Sampling(**values)  # type: ignore[arg-type]
    assert str(refused.value) == problem


@pytest.mark.parametrize("penalty", [1.3, 0.7])
def test_the_repetition_penalty_is_that_of_transformers(penalty: float) -> None:
    ids = [3, 7, 7, 1999, 0]
    found = changed(logits(1), row(Sampling(repetition_penalty=penalty), ids, num_generated=2))
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(torch.tensor([ids]), logits(1).unsqueeze(0))[0]
    torch.testing.assert_close(found, theirs)


def test_presence_and_frequency_count_what_was_generated_and_not_the_prompt() -> None:
    zeros_V = torch.zeros(6)
    asked = Sampling(presence_penalty=0.5, frequency_penalty=0.25)
    found = changed(zeros_V, row(asked, [1, 1, 2, 3, 3, 2], num_generated=3))
    assert found.tolist() == [0, 0, -0.75, -1.0, 0, 0]
    assert changed(zeros_V, row(asked, [1, 2])).tolist() == [0] * 6


def test_bias_decides_before_penalties_and_leaves_the_networks_logits_as_they_are() -> None:
    given_V = torch.tensor([0.0, 1.0, 2.0])
    asked = Sampling(logit_bias={0: 5, 2: -100}, repetition_penalty=2)
    assert changed(given_V, row(asked, [0])).tolist() == [2.5, 1.0, -98.0]
    assert given_V.tolist() == [0.0, 1.0, 2.0]


def test_a_penalized_row_draws_and_a_greedy_one_takes_the_likeliest_of_what_is_left() -> None:
    rows_NV = torch.stack([logits(0), logits(1), logits(2)])
    likeliest = rows_NV.argmax(dim=-1).tolist()
    without = [
        Sampling(logit_bias={token: -100}, temperature=heat, seed=1)
        for token, heat in zip(likeliest, (0, 1, 0), strict=True)
    ]
    taken = sample(rows_NV, [row(without[0]), row(without[1]), row(Sampling())])
    assert taken[0] == int(logits(0).topk(2).indices[1])
    assert taken[1] != likeliest[1]
    assert taken[2] == likeliest[2]
