"""The engine's door: one function per path, and one log line per call."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from outcrop import logs
from outcrop.errors import Invalid, NotFound, NotReady, OutcropError
from outcrop.inference import dialect
from outcrop.inference.dialect import Completion, NewTokens
from outcrop.inference.engine_thread import EngineThread, GeneratedTokens
from outcrop.inference.in_progress import RequestsInProgress
from outcrop.inference.request import EngineRequest
from outcrop.inference.unix_http import HttpAnswer, HttpCall
from outcrop.inference.usage import usage

_NO_NEWS = ("/health", "/load")
"Paths that are asked again and again."
_log = logging.getLogger("outcrop.engine")
Facts = dict[str, Any]
"What the log line of a call will say."


class EngineDoor:
    """The HTTP endpoints of one engine, whose base model requests name `base_name`."""

    def __init__(self, engine: EngineThread, *, base_name: str) -> None:
        self._engine = engine
        self._base = base_name
        self._numbers = itertools.count(1)
        self.work = RequestsInProgress()
        self._paths: dict[tuple[str, str], Callable[[HttpCall, Facts], Awaitable[HttpAnswer]]] = {
            ("GET", "/health"): self._health,
            ("GET", "/load"): self._load,
            ("POST", "/retire"): self._retire,
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/load_lora_adapter"): self._load_adapter,
            ("POST", "/v1/unload_lora_adapter"): self._unload_adapter,
            ("POST", "/v1/completions"): self._complete,
            ("GET", "/cache"): self._cache,
        }

    async def answer(self, call: HttpCall) -> HttpAnswer:
        """Never raises, unless it is cancelled."""
        facts: Facts = {"method": call.method, "path": call.path, "started": time.monotonic()}
        try:
            found = self._paths.get((call.method, call.path))
            if found is None:
                raise NotFound(f"{call.method} {call.path}: this engine has no such path.")
            if call.path.startswith("/v1/"):
                self.work.check_open()
                with self.work.one(counts=call.path == "/v1/completions"):
                    answer = await found(call, facts)
            else:
                answer = await found(call, facts)
        except Exception as problem:
            answer = _refuse(problem, facts)
        except BaseException:
            _report(facts, status=499)  # nginx's number for a caller that hung up
            raise
        if isinstance(answer.body, bytes) and call.path not in _NO_NEWS:
            _report(facts, status=answer.status)
        return answer

    async def _health(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        del call, facts
        self.work.check_open()
        if not self._engine.ready:
            raise NotReady("The engine is loading its base model. Ask again in a moment.")
        return _json({"status": "ready"})

    async def _load(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        """The engine's load, as vLLM tells it; whoever shares out the machine's memory asks."""
        del call, facts
        work = self.work
        return _json({"server_load": work.running, "answered": work.answered, "idle_s": work.idle_s})

    async def _retire(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        """Take no more requests from now on; the process ends with the last of those in progress."""
        del call, facts
        self.work.close()
        return _json({"server_load": self.work.running})

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
        return _json({"object": "list", "data": data})

    async def _cache(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        """The state of the cache between two steps: what is live, what waits, what is kept, what was shared."""
        del call, facts
        figures = await self._engine.ask(lambda engine: engine.cache_figures)
        return _json(figures._asdict())

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
        return _json({"message": f"Success: LoRA adapter '{name}' added successfully."})

    async def _unload_adapter(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        name = facts["model"] = dialect.text(dialect.parse_object(call.body), "lora_name")
        await self._engine.ask(lambda engine: engine.unload_adapter(name))
        return _json({"message": f"Success: LoRA adapter '{name}' removed successfully."})

    async def _complete(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        completion = dialect.parse_completion(call.body)
        facts.update(model=completion.model, prompt_tokens=completion.num_prompt_tokens, completion_tokens=0)
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
        return _json(dialect.completion_answer(completion, request_id, made))

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
                    yield dialect.event(self._event(completion, request, tokens, num_made))
                status = 200
            except OutcropError as problem:
                status, body = dialect.error(problem)
                yield dialect.event(body)
            finally:
                _report(facts, status=status)
        yield dialect.END_OF_EVENTS

    @staticmethod
    def _event(
        completion: Completion, request: EngineRequest, tokens: GeneratedTokens, num_made: int
    ) -> dict[str, Any]:
        event = dialect.completion_answer(completion, request.id, [NewTokens(*tokens)])
        first = num_made == len(tokens.ids)
        if completion.tells_usage and (first or tokens.finish_reason is not None):
            event["usage"] = usage(
                num_prompt=completion.num_prompt_tokens, num_made=num_made, num_cached=tokens.num_cached
            )
        return event

    async def _score(self, completion: Completion, request_id: str) -> HttpAnswer:
        """Log probabilities of the prompt. No token is generated: who asks for these wants no answer."""
        adapter = self._adapter(completion)
        logprobs = await self._engine.ask(lambda engine: engine.score(completion.prompt_ids, adapter))
        return _json(dialect.score_answer(completion, request_id, logprobs))

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
                cache_salt=completion.cache_salt,
                background=completion.background,
                grammar=completion.grammar,
            )
            for number, prompt_ids in enumerate(completion.prompts)
        ]

    def _adapter(self, completion: Completion) -> str | None:
        return None if completion.model == self._base else completion.model


def _json(body: dict[str, Any], status: int = 200) -> HttpAnswer:
    return HttpAnswer(body=json.dumps(body, separators=(",", ":")).encode(), status=status)


def _refuse(problem: Exception, facts: Facts) -> HttpAnswer:
    status, body = dialect.error(problem)
    if isinstance(problem, OutcropError):
        facts["problem"] = type(problem).__name__  # not its message: that may quote what was sent
    else:
        _log.exception("call %s failed", facts.get("id"))
    return _json(body, status)


def _report(facts: Facts, *, status: int) -> None:
    seconds = round(time.monotonic() - facts.pop("started"), 4)
    logs.tell(_log, "call", **facts, status=status, seconds=seconds)
