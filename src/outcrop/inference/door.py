"""The engine's door: one function per path, and one log line per call."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outcrop import logs
from outcrop.errors import Invalid, NotFound, NotReady, OutcropError
from outcrop.inference import dialect, encoder_requests
from outcrop.inference.adapters_in_use import AdaptersInUse
from outcrop.inference.dialect import Completion, NewTokens
from outcrop.inference.engine_thread import EngineThread, GeneratedTokens
from outcrop.inference.in_progress import RequestsInProgress
from outcrop.inference.request import EngineRequest
from outcrop.inference.unix_http import HttpAnswer, HttpCall
from outcrop.inference.usage import usage

if TYPE_CHECKING:
    from outcrop.inference.engine import Engine

_USES = ("/v1/completions", "/v1/embeddings", "/v1/score")
"Paths that use the network: after the last of them, an engine has been idle."
_TOKENS_PER_PASS = 512
"Of texts whose hidden states are asked for: generations in progress wait for one pass, not for all."
_NO_NEWS = ("/health", "/load")
"Paths that are asked again and again."
_log = logging.getLogger("outcrop.engine")
Facts = dict[str, Any]
"What the log line of a call will say."
Paths = Mapping[tuple[str, str], Callable[[HttpCall, Facts], Awaitable[HttpAnswer]]]
"What answers a call, by its method and path."


class EngineDoor:
    """The HTTP endpoints of one engine, whose base model requests name `base_name`."""

    def __init__(
        self,
        engine: EngineThread,
        *,
        base_name: str,
        adapters: AdaptersInUse | None = None,
        paths: Paths | None = None,
    ) -> None:
        """`adapters` decides which of them go; None: none goes by itself.

        `paths`: what an encoder answers, in the place of what a text model does.
        """
        self._engine = engine
        self._base = base_name
        self._adapters = adapters or AdaptersInUse()
        self._numbers = itertools.count(1)
        self.work = RequestsInProgress()
        of_text: Paths = {
            ("GET", "/v1/models"): self._models,
            ("POST", "/v1/load_lora_adapter"): self._load_adapter,
            ("POST", "/v1/unload_lora_adapter"): self._unload_adapter,
            ("POST", "/v1/completions"): self._complete,
            ("GET", "/cache"): self._cache,
            ("POST", "/v1/embeddings"): self._embed,
        }
        self._paths: Paths = {
            ("GET", "/health"): self._health,
            ("GET", "/load"): self._load,
            ("POST", "/retire"): self._retire,
            **(of_text if paths is None else paths),
        }

    @property
    def is_ready(self) -> bool:
        """Whether the base model is in memory."""
        return self._engine.ready

    async def answer(self, call: HttpCall) -> HttpAnswer:
        """Never raises, unless it is cancelled."""
        facts: Facts = {"method": call.method, "path": call.path, "started": time.monotonic()}
        try:
            found = self._paths.get((call.method, call.path))
            if found is None:
                raise NotFound(f"{call.method} {call.path}: this engine has no such path.")
            if call.path.startswith("/v1/"):
                self.work.check_open()
                with self.work.one(counts=call.path in _USES):
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
        told = {"server_load": work.running, "answered": work.answered, "idle_s": work.idle_s}
        return _json({**told, "adapters": self._adapters.told()})

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
        open_file = None
        if "outcrop_keys" in fields:
            from outcrop.keys.sealed_folder import OpenedKeys  # most engines decrypt nothing

            open_file = OpenedKeys.of_text(dialect.text(fields, "outcrop_keys")).open

        def load(engine: Any) -> None:
            if name in engine.adapters and not replaces:
                raise Invalid(f"The lora adapter '{name}' has already been loaded. Set load_inplace to replace it.")
            engine.load_adapter(name, folder, open_file=open_file)

        await self._engine.ask(load)
        self._adapters.came(name, _size_of(folder))
        await self._take_out(self._adapters.beyond(but=name), because="room")
        return _json({"message": f"Success: LoRA adapter '{name}' added successfully."})

    async def _unload_adapter(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        name = facts["model"] = dialect.text(dialect.parse_object(call.body), "lora_name")
        await self._engine.ask(lambda engine: engine.unload_adapter(name))
        self._adapters.went(name)
        return _json({"message": f"Success: LoRA adapter '{name}' removed successfully."})

    async def let_idle_adapters_go(self) -> None:
        """Take out the adapters that nobody has used for as long as one stays."""
        await self._take_out(self._adapters.idle(), because="idle")

    async def _take_out(self, names: Sequence[str], *, because: str) -> None:
        for name in names:
            self._adapters.went(name)
            await self._engine.ask(partial(_unload, name))
            logs.tell(_log, "adapter taken out", model=name, note=because)

    async def _complete(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        completion = dialect.parse_completion(call.body)
        facts.update(model=completion.model, prompt_tokens=completion.num_prompt_tokens, completion_tokens=0)
        request_id = facts["id"] = f"cmpl-{next(self._numbers)}"
        with self._adapters.used(completion.model):
            return await self._completed(completion, request_id, facts)

    async def _completed(self, completion: Completion, request_id: str, facts: Facts) -> HttpAnswer:
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
        with self.work.one(counts=True), self._adapters.used(completion.model):
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
        ids, likeliest = completion.prompt_ids, completion.prompt_logprobs or 0
        logprobs = await self._engine.ask(lambda engine: engine.score_tokens(ids, adapter, likeliest=likeliest))
        return _json(dialect.score_answer(completion, request_id, logprobs))

    async def _embed(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        """Mean hidden states, which stand in for the vectors of an encoder."""
        asked = encoder_requests.parse(call.body)
        if not asked.hidden_states:
            raise Invalid("hidden_states: a text model makes no other vectors. Say true, or ask an encoder.")
        facts.update(model=asked.model, prompt_tokens=sum(len(row.ids) for row in asked.rows))
        adapter = None if asked.model == self._base else asked.model
        rows = [row.ids for row in asked.rows]
        vectors: list[encoder_requests.Vector] = []
        with self._adapters.used(asked.model):
            for some in await self._engine.ask(lambda engine: engine.embedding_passes(rows, _TOKENS_PER_PASS)):
                vectors += await self._engine.ask(partial(_mean_hidden_states, some, adapter))
        return _json(encoder_requests.embeddings_answer(asked, vectors))

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


def _unload(name: str, engine: "Engine") -> None:
    if name in engine.adapters:  # else somebody has taken it out meanwhile
        engine.unload_adapter(name)


def _size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir() if file.is_file()) if folder.is_dir() else 0


def _mean_hidden_states(
    rows: Sequence[Sequence[int]], adapter: str | None, engine: "Engine"
) -> list[encoder_requests.Vector]:
    return engine.mean_hidden_states(rows, adapter)


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
