"""The values that an encoder's engine gives requests, without a thread and a socket around it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from outcrop.inference.encoder_engine import EncoderEngine
from outcrop.inference.encoder_requests import EncoderRequest
from outcrop.tokens.encoder_tokenizer import TokenRow


def values(engine: EncoderEngine, *requests: Sequence[TokenRow]) -> list[list[Any]]:
    """What an engine gives requests that come at once."""
    for number, rows in enumerate(requests):
        engine.submit(EncoderRequest(id=str(number), rows=tuple(rows)))
    found: dict[str, list[Any]] = {}
    while engine.busy:
        found.update({result.request_id: result.values for result in engine.step()})
    return [found[str(number)] for number in range(len(requests))]


def unit(vector: Any) -> np.ndarray[Any, Any]:
    found = np.asarray(vector, np.float64)
    return found / np.linalg.norm(found)
