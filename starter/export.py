"""A checkpoint of the pre-training run -> the Hugging Face folder that is shipped: bfloat16 weights, configuration.

The tokenizer is already there (`tokenizer.py` writes it); the model card is written by hand.

    python -m starter.export --checkpoint build/starter/checkpoint.pt
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from starter.pretrain import new_network

SIZE_LIMIT_BYTES = 16_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, default=Path("build/starter/checkpoint.pt"))
    parser.add_argument("--out", type=Path, default=Path("src/outcrop/catalog/bundled/starter-v1"))
    arguments = parser.parse_args()
    export(torch.load(arguments.checkpoint, weights_only=True)["network"], arguments.out)


def export(weights: dict[str, torch.Tensor], folder: Path) -> None:
    """Writes config.json, generation_config.json and model.safetensors; the tied output layer is not stored twice."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = new_network().config
    configuration.architectures = ["LlamaForCausalLM"]
    configuration.dtype = "bfloat16"
    configuration.save_pretrained(folder)
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n", encoding="utf-8")
    stored = {name: tensor.bfloat16().contiguous() for name, tensor in weights.items() if name != "lm_head.weight"}
    path = folder / "model.safetensors"
    save_file(stored, path, metadata={"format": "pt"})
    assert path.stat().st_size <= SIZE_LIMIT_BYTES, f"{path.stat().st_size} bytes are more than {SIZE_LIMIT_BYTES}"


if __name__ == "__main__":
    main()
