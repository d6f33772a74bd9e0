"""The engine's door: one function per path, and one log line per call."""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outcrop.errors import Invalid, OutcropError
from outcrop.inference import calls, dialect, encoder_requests
from outcrop.inference.calls import Facts
from outcrop.inference.dialect import Completion, NewTokens
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.in_progress import RequestsInProgress
from outcrop.inference.request import EngineRequest
from outcrop.inference.unix_http import HttpAnswer, HttpCall

if TYPE_CHECKING:
    from outcrop.inference.engine import Engine

_TOKENS_PER_PASS = 512
"Of texts whose hidden states are asked for: generations in progress wait for one pass, not for all."


class EngineDoor:
    """The HTTP endpoints of one engine, whose base model requests name `base_name`."""

    def __init__(self, engine: EngineThread, *, base_name: str) -> None:
        self._engine = engine
        self._base = base_name
        self._numbers = itertools.count(1)
        self.work = RequestsInProgress()
        self._paths: calls.Paths = {
            **calls.standing(engine, self.work),
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/load_lora_adapter"): self._load_adapter,
            ("POST", "/v1/unload_lora_adapter"): self._unload_adapter,
            ("POST", "/v1/completions"): self._complete,
            ("POST", "/v1/embeddings"): self._embed,
        }

    async def answer(self, call: HttpCall) -> HttpAnswer:
        """Never raises, unless it is cancelled."""
        return await calls.answer(call, self._paths, self.work)

    async def _models(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        del call, facts
        names, context_length, dtype = await self._engine.ask(
            lambda engine: (engine.adapters, engine.context_length, engine.dtype)
        )
        parents: dict[str, str | None] = {self._base: None} | dict.fromkeys(names, self._base)
        data = [
            {"id": name, "object": "model", "parent": parent, "max_model_len": context_length, "dtype": dtype}
            for name, parent in parents.items()
        ]
        return calls.as_json({"object": "list", "data": data})

    async def _load_adapter(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        fields = dialect.parse_object(call.body)
        name, folder = dialect.text(fields, "lora_name"), Path(dialect.text(fields, "lora_path"))
        facts["model"] = name
        if name == self._base:
            raise Invalid(f"lora_name: {name} is the base model's name. Give the adapter another.")
        replaces = bool(fields.get("load_inplace", False))

        def load(engine: Any) -> None:
            if name in engine.adapters and not replaces:
                raise Invalid(f"The lora adapter '{name}' has already been loaded. Set load_inplace to replace it.")
            engine.load_adapter(name, folder)

        await self._engine.ask(load)
        return calls.as_json({"message": f"Success: LoRA adapter '{name}' added successfully."})

    async def _unload_adapter(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        name = facts["model"] = dialect.text(dialect.parse_object(call.body), "lora_name")
        await self._engine.ask(lambda engine: engine.unload_adapter(name))
        return calls.as_json({"message": f"Success: LoRA adapter '{name}' removed successfully."})

    async def _complete(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        completion = dialect.parse_completion(call.body)
        facts.update(model=completion.model, prompt_tokens=sum(map(len, completion.prompts)), completion_tokens=0)
        request_id = facts["id"] = f"cmpl-{next(self._numbers)}"
        if completion.scores:
            return await self._score(completion, request_id)
        requests = await self._requests(completion, request_id)
        if completion.stream:
            events = self._events(completion, requests[0], facts)
            await anext(events)  # accepted; what is refused has its status, not an event
            return HttpAnswer(body=events, content_type="text/event-stream")
        answers = await self._engine.generate_together(requests)
        made = [NewTokens(*answer) for answer in answers]
        facts.update(completion_tokens=sum(len(one.ids) for one in made), finish_reason=made[0].finish_reason)
        return calls.as_json(dialect.completion_answer(completion, request_id, made))

    async def _events(
        self, completion: Completion, request: EngineRequest, facts: Facts
    ) -> AsyncGenerator[bytes, None]:
        """Server-sent events, after one empty piece. From there on a failure is an event too."""
        # Counted until its end: the call itself is answered before, with a body that is still being made.
        with self.work.one(counts=True):
            async with aclosing(self._made(completion, request, facts)) as events:
                async for event in events:
                    yield event

    async def _made(self, completion: Completion, request: EngineRequest, facts: Facts) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._engine.generate(request)) as generated:
            await anext(generated)
            status = 499
            try:
                yield b""
                async for tokens in generated:
                    num_made = facts["completion_tokens"] + len(tokens.ids)
                    facts.update(completion_tokens=num_made, finish_reason=tokens.finish_reason)
                    yield dialect.event(dialect.completion_answer(completion, request.id, [NewTokens(*tokens)]))
                status = 200
            except OutcropError as problem:
                status, body = dialect.error(problem)
                yield dialect.event(body)
            finally:
                calls.report(facts, status=status)
        yield dialect.END_OF_EVENTS

    async def _score(self, completion: Completion, request_id: str) -> HttpAnswer:
        """Log probabilities of the prompt. No token is generated: who asks for these wants no answer."""
        adapter = self._adapter(completion)
        logprobs = await self._engine.ask(lambda engine: engine.score(completion.prompt_ids, adapter))
        return calls.as_json(dialect.score_answer(completion, request_id, logprobs))

    async def _embed(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        """Mean hidden states, which stand in for the vectors of an encoder."""
        asked = encoder_requests.parse(call.body)
        facts.update(model=asked.model, prompt_tokens=sum(len(row.ids) for row in asked.rows))
        adapter = None if asked.model == self._base else asked.model
        rows = [row.ids for row in asked.rows]
        vectors: list[encoder_requests.Vector] = []
        for some in await self._engine.ask(lambda engine: engine.embedding_passes(rows, _TOKENS_PER_PASS)):
            vectors += await self._engine.ask(partial(_mean_hidden_states, some, adapter))
        return calls.as_json(encoder_requests.embeddings_answer(asked, vectors))

    async def _requests(self, completion: Completion, request_id: str) -> list[EngineRequest]:
        """The engine requests of a completion, one for each prompt; the first has the id of the call."""
        end_ids, grammars = await self._engine.ask(lambda engine: (engine.end_ids, engine.grammars))
        if completion.grammar is not None:  # not between two steps: others would wait for it
            await asyncio.to_thread(grammars.compile, completion.grammar)
        return [
            EngineRequest(
                id=f"{request_id}-{number}" if number else request_id,
                prompt_ids=prompt_ids,
                max_tokens=completion.max_tokens,
                sampling=completion.sampling,
                stop_token_ids=completion.stop_token_ids | (frozenset() if completion.ignore_eos else end_ids),
                adapter=self._adapter(completion),
                logprobs=completion.logprobs,
                prompt_tokens_per_step=completion.prompt_tokens_per_step,
                grammar=completion.grammar,
            )
            for number, prompt_ids in enumerate(completion.prompts)
        ]

    def _adapter(self, completion: Completion) -> str | None:
        return None if completion.model == self._base else completion.model


def _mean_hidden_states(
    rows: Sequence[Sequence[int]], adapter: str | None, engine: "Engine"
) -> list[encoder_requests.Vector]:
    return engine.mean_hidden_states(rows, adapter)
