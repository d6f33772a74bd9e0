"""Answers held by grammars beside others: each as alone, log probabilities as the network gives them, and ends told."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from outcrop.errors import Invalid
from outcrop.inference import kv_cache
from outcrop.inference.client import EngineClient, GenerationRequest
from outcrop.inference.door import EngineDoor
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.request import EngineRequest, Sampling, TokenLogprob
from outcrop.inference.unix_http import UnixServer
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.chat_templates import HERMES
from tests.support.patience import PATIENCE_S
from tests.support.tiny import VOCAB_SIZE, tiny_chat_model

SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "boolean"}, "b": {"enum": ["x", "yy"]}},
    "required": ["a", "b"],
}
FORM = f"start: %json {json.dumps({**SCHEMA, 'additionalProperties': False, 'x-guidance': {'whitespace_flexible': False}})}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_chat_model(tmp_path_factory.mktemp("network"), HERMES)


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Engine(folder, cache_bytes=2**24)
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.open(folder)


def generate(engine: Engine, requests: Sequence[EngineRequest]) -> dict[str, list[int]]:
    made: dict[str, list[int]] = {request.id: [] for request in requests}
    for request in requests:
        engine.submit(request)
    while engine.busy:
        for produced in engine.step():
            made[produced.request_id].append(produced.token)
    return made


def asked(name: str, ids: Sequence[int], **changes: Any) -> EngineRequest:
    chosen = {"max_tokens": 24, "sampling": Sampling(temperature=1.0, seed=3), **changes}
    return EngineRequest(id=name, prompt_ids=tuple(ids), **chosen)


def test_an_answer_in_a_form_and_its_neighbours_are_each_as_alone(engine: Engine, tokenizer: Tokenizer) -> None:
    requests = [
        asked("free", [5, 6, 7]),
        asked("drawn", [8, 9], grammar=FORM, max_tokens=100),
        asked("greedy", [10], sampling=Sampling(), grammar=FORM, max_tokens=100),
        asked("free greedy", [11, 12], sampling=Sampling()),
        asked("other form", [5], grammar="start: /[ab]{3,9}/"),
    ]
    alone = {request.id: generate(engine, [request])[request.id] for request in requests}
    assert generate(engine, requests) == alone
    for name in ("drawn", "greedy"):
        assert json.loads(tokenizer.decode(alone[name])).keys() == {"a", "b"}
    assert set(tokenizer.decode(alone["other form"])) <= {"a", "b"}


def test_an_answer_in_a_form_that_gave_its_place_away_goes_on_where_it_was(
    folder: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = "start: /([a-m]{3}[n-z]{3}){10}/"
    requests = [
        asked(str(number), range(5 + number, 45 + number), grammar=form, max_tokens=100, sampling=Sampling(temperature=1.0, seed=number))
        for number in range(6)
    ]  # fmt: skip
    plenty = Engine(folder, cache_bytes=2**24)
    alone = {request.id: generate(plenty, [request])[request.id] for request in requests}
    monkeypatch.setattr(kv_cache, "SHORTEST_ROW", 16)
    position_bytes = 2 * 2 * 2 * 16 * 4  # keys and values of two layers, two heads of sixteen numbers
    tight = Engine(folder, cache_bytes=16 * 16 * position_bytes)
    assert generate(tight, requests) == alone
    assert tight.cache_figures.num_preempted > 0
    assert all(len(tokenizer.decode(ids)) == 60 for ids in alone.values())


def test_a_form_that_leaves_every_token_changes_nothing(engine: Engine, tokenizer: Tokenizer) -> None:
    unknown = dict.fromkeys(range(tokenizer.vocab_size, VOCAB_SIZE), -100.0)  # which are no tokens, and in no form
    sampling = Sampling(
        temperature=0.8, top_p=0.9, top_k=40, presence_penalty=0.5, logit_bias={70: 3.0, **unknown}, seed=9
    )
    free = asked("a", [5, 6], sampling=sampling)
    assert generate(engine, [replace(free, grammar="start: <[*]>*")]) == generate(engine, [free])


def test_log_probabilities_are_told_before_the_form_leaves_tokens_out(engine: Engine, tokenizer: Tokenizer) -> None:
    (a,) = tokenizer.encode("a", begin=False)
    free = asked("free", [5, 6, 7], sampling=Sampling(logit_bias={a: 100.0}), logprobs=0, max_tokens=1)
    held = asked("held", [5, 6, 7], sampling=Sampling(), grammar='start: "a" "b"', logprobs=2, max_tokens=1)
    told: dict[str, TokenLogprob | None] = {}
    for request in (free, held):
        engine.submit(request)
    while engine.busy:
        told |= {produced.request_id: produced.logprob for produced in engine.step()}
    by_bias, by_form = told["free"], told["held"]
    assert by_bias is not None
    assert by_form is not None
    assert by_form.token == by_bias.token == a
    assert by_form.logprob == pytest.approx(by_bias.logprob)
    assert by_form.likeliest[0][1] > by_form.logprob  # of a likelier one, which the form left out


def test_a_form_ends_the_answer_when_nothing_can_follow_and_max_tokens_before(engine: Engine) -> None:
    engine.submit(asked("whole", [5], grammar='start: "ab" "c"'))
    engine.submit(asked("cut", [5], grammar="start: /a{9}/", max_tokens=3))
    reasons = {}
    while engine.busy:
        for produced in engine.step():
            reasons[produced.request_id] = produced.finish_reason
    assert reasons == {"whole": "stop", "cut": "length"}


def test_a_form_that_no_token_can_go_on_in_fails_alone(engine: Engine, tokenizer: Tokenizer) -> None:
    special = next(iter(tokenizer.special_ids - set(tokenizer.eos_ids)))
    requests = [
        asked("free", [5, 6]),
        asked(
            "held",
            [5],
            grammar=f"start: <[{special}]> <[{tokenizer.eos_id}]> /a/",
            stop_token_ids=frozenset(tokenizer.eos_ids),
        ),
    ]
    alone = generate(engine, requests[:1])["free"]
    for request in requests:
        engine.submit(request)
    made: list[int] = []
    problems = []
    while engine.busy:
        for produced in engine.step():
            if produced.problem is not None:
                problems.append(produced.problem.message)
            elif produced.request_id == "free":
                made.append(produced.token)
    assert made == alone
    assert problems == ["No token of this model's vocabulary can go on in the form that the answer must have."]


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[EngineClient]:
    thread = EngineThread(lambda: Engine(folder, cache_bytes=2**24))
    place = Path(tempfile.mkdtemp(prefix="outcrop-"))
    server = UnixServer(place / "engine", EngineDoor(thread, base_name="base").answer)
    await server.start()
    await thread.loaded
    try:
        async with EngineClient(place / "engine") as client:
            yield client
    finally:
        await server.close(grace_s=0)
        thread.stop(timeout_s=PATIENCE_S)
        shutil.rmtree(place)


def test_a_grammar_goes_over_the_engines_socket_and_a_wrong_one_is_refused_before_anything_runs(
    folder: Path, tokenizer: Tokenizer
) -> None:
    async def scenario() -> None:
        wish = GenerationRequest(
            model="base", prompt_ids=[5, 6], max_tokens=50, sampling=Sampling(temperature=1.0, seed=1), grammar=FORM
        )
        async with served(folder) as client, asyncio.timeout(PATIENCE_S):
            deltas = [delta async for delta in client.generate(wish)]
            said = tokenizer.decode([one for delta in deltas for one in delta.token_ids])
            assert json.loads(said).keys() == {"a", "b"}
            assert deltas[-1].finish_reason == "stop"
            with pytest.raises(Invalid) as refused:
                _ = [delta async for delta in client.generate(replace(wish, grammar="start: foo"))]
            assert refused.value.message == (
                'The engine refused the request: The form of the answer cannot be used: at 1(8): unknown name: "foo".'
            )

    asyncio.run(scenario())
