"""The paths of an encoder's engine: vectors at vLLM's /v1/embeddings, relevance at /v1/score."""

import itertools
import json
from typing import Any

from outcrop.errors import Invalid
from outcrop.inference import encoder_requests
from outcrop.inference.door import Facts, Paths
from outcrop.inference.encoder_requests import EncoderBody, EncoderRequest, Vector
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.unix_http import HttpAnswer, HttpCall
from outcrop.network.model_task import ModelTask


class EncoderPaths:
    """The answers of one encoder, which requests name `base_name`."""

    def __init__(self, engine: EngineThread, *, base_name: str, task: ModelTask) -> None:
        self._engine = engine
        self._base = base_name
        self._numbers = itertools.count(1)
        answers: dict[ModelTask, Paths] = {
            ModelTask.EMBEDDING: {("POST", "/v1/embeddings"): self._embed},
            ModelTask.RERANKING: {("POST", "/v1/score"): self._score},
        }
        self.paths: Paths = {("GET", "/v1/models"): self._models, **answers[task]}

    async def _models(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        del call, facts
        length, dtype = await self._engine.ask(lambda engine: (engine.context_length, engine.dtype))
        data = [{"id": self._base, "object": "model", "parent": None, "max_model_len": length, "dtype": dtype}]
        return _json({"object": "list", "data": data})

    async def _embed(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        asked = encoder_requests.parse(call.body)
        return _json(encoder_requests.embeddings_answer(asked, await self._values(asked, facts)))

    async def _score(self, call: HttpCall, facts: Facts) -> HttpAnswer:
        asked = encoder_requests.parse(call.body)
        scores = [values[0] for values in await self._values(asked, facts)]
        return _json(encoder_requests.scores_answer(asked, scores))

    async def _values(self, asked: EncoderBody, facts: Facts) -> list[Vector]:
        facts.update(model=asked.model, rows=len(asked.rows), prompt_tokens=sum(len(row.ids) for row in asked.rows))
        if asked.model != self._base:
            raise Invalid(f"model: {asked.model} is not here. An encoder has no adapters; name {self._base}.")
        if asked.hidden_states:
            raise Invalid("hidden_states: an encoder makes vectors of its own. Leave it out.")
        request_id = facts["id"] = f"embd-{next(self._numbers)}"
        return (await self._engine.result_of(EncoderRequest(id=request_id, rows=asked.rows))).values


def _json(body: dict[str, Any]) -> HttpAnswer:
    return HttpAnswer(body=json.dumps(body, separators=(",", ":")).encode())
