"""Throughput of a comparison beside its engine: the same records scored and answered, over the API and on the socket.

Two models of an installation are asked through the API, as `outcrop compare` asks; the peer puts the same token ids to
the same engines' sockets, with as many requests in flight. What differs is everything between a question and an engine.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import train_data
from bench.load import free_port
from bench.measuring import Row, higher_is_better
from bench.serve_house import outcrop, program, until
from outcrop.cli import export
from outcrop.cli.listening import answers
from outcrop.clock import SystemClock
from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.api_client import ApiAddress, ApiClient
from outcrop.evaluation.asking_api import OpenedModel, open_model
from outcrop.evaluation.collecting import AT_ONCE, collect
from outcrop.evaluation.questions import Question
from outcrop.house import House
from outcrop.inference.client import EngineClient, GenerationRequest
from outcrop.inference.request import Sampling
from outcrop.settings import DEFAULT_REGION, Settings
from outcrop.tokens.prompt_format import PromptFormat, encode_reference
from outcrop.tokens.tokenizer import Tokenizer

SHAPE, MODELS = "small", ("bench.one-v1", "bench.other-v1")
PROMPT_WORDS, REFERENCE_WORDS, ANSWER_TOKENS = 60, 40, 32
GOAL = 0.9


@dataclass(frozen=True, kw_only=True)
class Opened:
    """One of the two models: as the API has it, and its engine's socket."""

    model: OpenedModel
    engine: EngineClient
    tokenizer: Tokenizer


def rows(num_records: int, turns: int) -> list[Row]:
    """The rate of both models together, by likelihood and by generation."""
    with tempfile.TemporaryDirectory() as place:
        return asyncio.run(_rows(Path(place), num_records, turns))


async def _rows(place: Path, num_records: int, turns: int) -> list[Row]:
    settings = Settings(home=place / "home", port=free_port())
    for name in MODELS:
        train_data.write_model(place / name, SHAPE, dtype="float32")
        outcrop("register", str(place / name), "--id", name, "--home", str(settings.home))
    process = await asyncio.create_subprocess_exec(
        *program(), "up", "--home", str(settings.home), "--port", str(settings.port), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        return await _measured(place, settings, num_records, turns)
    finally:
        process.terminate()
        await process.wait()


async def _measured(place: Path, settings: Settings, num_records: int, turns: int) -> list[Row]:
    api = ApiClient(address=await asyncio.to_thread(_address, settings))
    opened = [await _opened(place, settings, api, name) for name in MODELS]
    rates: dict[str, list[float]] = {}
    for turn in range(1 + turns):
        for kind in ("score", "generate"):
            sides = ("ours", "peer") if turn % 2 else ("peer", "ours")
            for side in sides:
                seconds = 0.0
                for each in opened:
                    # Records of their own for each turn and side: what an engine has read once it need not read again.
                    asked = questions(num_records, seed=f"{turn} {kind} {side} {each.model.name}")
                    began = time.perf_counter()
                    await (_ours(each, asked, kind) if side == "ours" else _peer(each, asked, kind))
                    seconds += time.perf_counter() - began
                rate = num_records * len(opened) / seconds
                print(f"  {turn}/{turns} {kind} {side}: {rate:.4g} records/s", flush=True)
                if turn:
                    rates.setdefault(f"{kind} {side}", []).append(rate)
    await api.aclose()
    names = {"score": "scored by likelihood", "generate": f"answered with {ANSWER_TOKENS} tokens"}
    return [
        higher_is_better(
            f"{num_records:,} records of {len(MODELS)} models {name}; peer: the engines' own sockets",
            ours=statistics.median(rates[f"{kind} ours"]),
            peer=statistics.median(rates[f"{kind} peer"]),
            unit="records/s",
            goal=GOAL,
        )
        for kind, name in names.items()
    ]


async def _ours(opened: Opened, asked: Sequence[Question], kind: str) -> None:
    generates = kind == "generate"
    settings = AnswerSettings(max_tokens=ANSWER_TOKENS)
    told = await collect(opened.model, asked, settings, kept=None, generates=generates, scores=not generates)
    everything = [*told.likelihoods, *(one for all_of in told.answers for one in all_of)]
    problems = [each for each in everything if isinstance(each, str)]
    assert not problems, problems[0]


async def _peer(opened: Opened, asked: Sequence[Question], kind: str) -> None:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(question: Question) -> None:
        assert question.reference is not None
        encoded = encode_reference(opened.tokenizer, PromptFormat.TEXT, question.messages, question.reference)
        async with turns:
            if kind == "score":
                await opened.engine.score_tokens(opened.model.name, [*encoded.prompt_ids, *encoded.completion_ids])
                return
            request = GenerationRequest(
                model=opened.model.name,
                prompt_ids=encoded.prompt_ids,
                max_tokens=ANSWER_TOKENS,
                sampling=Sampling(),
                stop_token_ids=opened.tokenizer.eos_ids,
            )
            async for _ in opened.engine.generate(request):
                pass

    await asyncio.gather(*map(one, asked))


def questions(num: int, *, seed: str) -> list[Question]:
    """Questions of words that the tokenizer has, of different lengths."""
    chance, most = random.Random(seed), train_data.SHAPES[SHAPE]["vocab_size"]

    def words(about: int) -> str:
        length = chance.randint(about // 2, about * 3 // 2)
        return " ".join(f"w{chance.randint(3, most - 1)}" for _ in range(length))

    return [
        Question(
            id=f"bench:{number}",
            line=number,
            messages=({"role": "user", "content": words(PROMPT_WORDS)},),
            references=(words(REFERENCE_WORDS),),
        )
        for number in range(1, num + 1)
    ]


async def _opened(place: Path, settings: Settings, api: ApiClient, name: str) -> Opened:
    await asyncio.to_thread(until, lambda: answers(settings))
    model = await open_model(api, name)
    tokenizer = Tokenizer.open(place / name)
    (first,) = questions(1, seed="first")
    told = await model.score_reference(first)
    assert not isinstance(told, str), told
    with House(settings, SystemClock()) as house:
        (socket,) = [order.socket for order in house.engines.orders() if order.name == name]
    assert socket is not None, "an engine of this machine has a socket"
    return Opened(model=model, engine=EngineClient(socket), tokenizer=tokenizer)


def _address(settings: Settings) -> ApiAddress:
    until(lambda: answers(settings))
    made = export.installation(settings)
    return ApiAddress(
        endpoint=settings.endpoint,
        key=f"{made.access_key_id}:{made.secret_access_key}",
        client=lambda service: export.client(settings, service, DEFAULT_REGION),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=5, help="of each side; medians count")
    given = parser.parse_args()
    for row in rows(given.records, given.turns):
        print(row)


if __name__ == "__main__":
    main()
