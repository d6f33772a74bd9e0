"""A model checkpoint as a job would leave it, made in a moment: an adapter that changes nothing, and its parity."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
import transformers

from outcrop.network.adapters import adapter_files, linear
from outcrop.network.adapters.method import LoRA
from outcrop.network.load import load_base

SAMPLE = [0, 7, 8, 9, 10, 11, 12]


def checkpoint(base: Path, base_id: str, folder: Path) -> dict[str, bytes]:
    """Its files by name, `checkpoint.json` among them."""
    network = load_base(base)
    linear.hold_adapters(network)
    method = LoRA(rank=2, alpha=4.0)
    adapter_files.add_new(network, "new", method, torch.Generator().manual_seed(0))
    adapter_files.save(folder, network, "new", method, base=base_id)
    plain = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    with torch.inference_mode():
        logits_TV = plain(torch.tensor([SAMPLE])).logits[0].log_softmax(-1)
    logprobs = [float(logits_TV[place, token]) for place, token in enumerate(SAMPLE[1:])]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    files["parity.json"] = json.dumps([{"ids": SAMPLE, "logprobs": logprobs}]).encode()
    return {**files, "checkpoint.json": json.dumps(manifest(files, base_id)).encode()}


def manifest(files: dict[str, bytes], base_id: str) -> dict[str, Any]:
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "checkpoint.json"}
    return {"base_id": base_id, "prompt_format": "text", "files": digests}
