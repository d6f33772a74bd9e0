"""Our engine in `make bench-serve`, in its own process and without a socket, as the peers are."""

import json
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.serve_data import Answer, Asked, adapters_of, serve
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.inference.serve import settle
from outcrop.network.weight_precision import WeightPrecision


def main() -> None:
    serve(engine_of, json.loads(sys.argv[1]))


def engine_of(spec: dict[str, Any]) -> Answer:
    if spec.get("threads"):
        torch.set_num_threads(spec["threads"])
    weights = WeightPrecision(spec.get("weights", WeightPrecision.FP32))
    engine = Engine(Path(spec["model"]), cache_bytes=2**31, weights=weights)
    for name, folder in adapters_of(spec).items():
        engine.load_adapter(name, folder)
    settle()
    return Ours(engine)


class Ours:
    """Answers of an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.firsts: list[float] = []
        "Seconds until the first token of each prompt, of the last questions."

    def __call__(self, asked: Asked) -> Sequence[Sequence[int]]:
        began = time.perf_counter()
        made: dict[str, list[int]] = {}
        self.firsts = []
        salt = secrets.token_hex(8)  # a prompt is read anew each time, as by the others
        for number, (ids, adapter) in enumerate(zip(asked.prompts, asked.adapters, strict=True)):
            made[str(number)] = []
            self._engine.submit(
                EngineRequest(
                    id=str(number),
                    prompt_ids=tuple(ids),
                    max_tokens=asked.num_tokens,
                    adapter=adapter,
                    cache_salt=salt,
                )
            )
        while any(len(each) < asked.num_tokens for each in made.values()):
            for produced in self._engine.step():
                if not made[produced.request_id]:
                    self.firsts.append(time.perf_counter() - began)
                made[produced.request_id].append(produced.token)
        return list(made.values())

    def put_away(self) -> None:
        """Does the rest of an engine's work, once the last tokens have gone out."""
        while self._engine.busy:
            self._engine.step()


if __name__ == "__main__":
    main()
