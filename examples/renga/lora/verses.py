"""Verses as a network learns them, and models as a channel brings them: what training and measuring have in common."""

import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

IGNORED = -100
"A label that does not count in the loss."


def read_records(folder: Path) -> list[dict[str, str]]:
    """The records of all JSON Lines in a channel, in the order of the files.

    Raises ValueError at the first line without a prompt and a completion.
    """
    records = []
    for path in sorted(folder.rglob("*.jsonl")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            if not line.strip():
                continue
            record = json.loads(line)
            if not (isinstance(record.get("prompt"), str) and isinstance(record.get("completion"), str)):
                raise ValueError(f"{path.name}:{number}: expected texts as prompt and completion. Correct the line.")
            records.append({"prompt": record["prompt"], "completion": record["completion"]})
    return records


def example_of(tokenizer: Any, record: Mapping[str, str]) -> dict[str, list[int]]:
    """Token ids and labels of a record: only the lower verse counts, with the end behind it.

    Both parts are encoded apart, as in serving, where nobody knows the completion beforehand.
    """
    prompt = tokenizer(record["prompt"])["input_ids"]
    completion = tokenizer(record["completion"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    ids = prompt + completion
    return {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [IGNORED] * len(prompt) + completion}


def model_folder(channel: Path) -> Path:
    """The folder of a channel that holds a network or an adapter; a tar.gz, as jobs leave it, is unpacked first.

    Raises ValueError where there is none.
    """
    folder = channel
    for archive in channel.glob("*.tar.gz"):
        folder = Path("/tmp/models") / channel.name
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    found = [path for name in ("config.json", "adapter_config.json") for path in folder.rglob(name)]
    if not found:
        raise ValueError(f"The channel {channel.name} holds neither a config.json nor an adapter_config.json.")
    return min((path.parent for path in found), key=lambda path: len(path.parts))
