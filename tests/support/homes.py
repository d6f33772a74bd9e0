"""Homes of installations with tiny base models, and records to train them on."""

import json
from pathlib import Path

from outcrop.catalog.catalog import Catalog
from outcrop.network import facts
from outcrop.network.run_mode import ProbeVerdict, RunMode
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

TINY = "local.tiny-v1"
ALIASES = (
    "amazon.titan-text-lite-v1",
    "meta.llama2-13b-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "amazon.nova-micro-v1:0",
)


def with_tiny_models(home: Path) -> Path:
    """A home whose catalogue has a tiny model, alone and behind the ids that notebooks name."""
    home.mkdir(parents=True, exist_ok=True)
    folder = tiny_model(home / "tiny")
    catalog = Catalog(home)
    verdict = ProbeVerdict(way=RunMode.PACKED, config=facts.digest(folder))
    catalog.register(folder, model_id=TINY, name="Tiny", context_length=CONTEXT_LENGTH, licence="none", verdict=verdict)
    for model_id in ALIASES:
        catalog.alias(model_id, TINY)
    return home


def pairs(count: int) -> bytes:
    """Records of prompt and completion."""
    lines = (json.dumps({"prompt": f"Question {n}: what is {n}?", "completion": f" It is {n}."}) for n in range(count))
    return "\n".join(lines).encode()
