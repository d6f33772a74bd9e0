"""Answers to held-out prompts on the way: they are the network's own, and the run does not notice them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import data, finetune, held_out_answers, loop
from outcrop.training.data_parallel.ranks import ALONE
from outcrop.training.examples import Example
from outcrop.training.expectation import _next
from outcrop.training.held_out_answers import HeldOutPrompts, greedy, prompts_of
from outcrop.training.metrics import HeldOutAnswer, Hooks
from outcrop.training.settled import settled
from outcrop.training.task import TrainingHyper
from tests.support.tiny import tiny_model
from tests.support.training_runs import HELD_OUT, task

HYPER = TrainingHyper(epochs=3, batch_size=4, learning_rate=5e-3, threads=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("base"))


def test_a_run_that_answers_has_the_bits_of_one_that_does_not(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out_answers, "_AT_ONCE_S", 1e9)  # however busy this machine is
    told: list[tuple[int, Sequence[HeldOutAnswer]]] = []
    hooks = Hooks(on_answers=lambda step, answers: told.append((step, answers)))
    asked, silent = (task(base, tmp_path / name, hyper=HYPER, held_out=HELD_OUT) for name in ("asked", "silent"))
    with_answers, without = finetune.train(asked, hooks), finetune.train(silent, Hooks())
    assert [step.loss for step in with_answers.step_metrics] == [step.loss for step in without.step_metrics]
    assert with_answers.evaluations == without.evaluations
    for name in ("adapter_model.safetensors", "parity.json"):
        assert (asked.output_dir / name).read_bytes() == (silent.output_dir / name).read_bytes()
    # And it answered the same prompts where it started from, and at every evaluation
    assert [step for step, _ in told] == [each.step for each in with_answers.evaluations]
    assert len({tuple(answer.prompt for answer in answers) for _, answers in told}) == 1
    assert told[0][1][0].expected.strip() in asked.validators[0].read_text("utf-8")


def test_answers_are_the_greedy_tokens_of_plain_forwards(base: Path, tmp_path: Path) -> None:
    given = task(base, tmp_path, hyper=HYPER)
    with settled(given.hyper, ALONE):
        trained, _ = loop.load_trained(given, ALONE)
        prompts = [prompt.ids for prompt in prompts_of(data.read(given).examples, context_length=128)]
        assert len(prompts) == held_out_answers.PROMPTS
        assert len({len(prompt) for prompt in prompts}) > 1  # side by side, each with its own length
        found = greedy(trained, prompts, ends=frozenset())
        for prompt, answer in zip(prompts, found, strict=True):
            ids = list(prompt)
            for token in answer:
                assert token == int(_next(trained.network, trained.routing, ids, trained.adapter).argmax())
                ids.append(token)
        ends = frozenset({found[0][3]})
        assert greedy(trained, prompts[:1], ends=ends) == [found[0][: found[0].index(found[0][3])]]


def test_a_prompt_ends_before_what_is_learned_and_a_text_is_gone_on_from() -> None:
    ids = torch.arange(10)
    pair = Example(ids_T=ids, at_N=torch.arange(5, 9), target_N=ids[6:], num_bytes=0, line=0)
    turns = Example(ids_T=ids, at_N=torch.tensor([2, 3, 7]), target_N=ids[[3, 4, 8]], num_bytes=0, line=0)
    text = Example(ids_T=ids, at_N=torch.arange(9), target_N=ids[1:], num_bytes=0, line=0)
    found = prompts_of([pair, pair, turns, text], context_length=100)
    assert [(prompt.ids, prompt.expected) for prompt in found] == [
        ((0, 1, 2, 3, 4, 5), (6, 7, 8, 9)),
        ((0, 1, 2), (3, 4)),
        ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9)),
    ]
    assert prompts_of([pair], context_length=12) == []


def test_answers_take_a_twentieth_of_the_time_and_no_more(base: Path, tmp_path: Path) -> None:
    given = task(base, tmp_path, hyper=HYPER)
    moment = [0.0]

    def now() -> float:
        moment[0] += 2.0  # the clock is read when answers begin and when they end: each takes 2 s
        return moment[0]

    with settled(given.hyper, ALONE):
        trained, _ = loop.load_trained(given, ALONE)
        prompts = HeldOutPrompts(prompts_of(data.read(given).examples, context_length=128), Tokenizer.open(base), now=now)  # fmt: skip
        assert prompts.answers(trained)
        assert prompts.answers(trained) == []
        moment[0] = 100.0
        assert prompts.answers(trained)
