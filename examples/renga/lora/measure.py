"""A second script of a training job: the loss of several models on records that none has seen.

    SM_CHANNEL_MODEL    the base model
    SM_CHANNEL_TEST     JSON Lines of prompt and completion
    other channels      a model each: an adapter of PEFT on the base, or a whole network

All are measured by the same lines of code, whoever has trained them. Prints `loss_NAME=…`, nats a token of the lower
verses, for the job's metrics.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq
from verses import IGNORED, example_of, model_folder, read_records

BATCH = 32


def main() -> None:
    channels = {name: Path(os.environ[f"SM_CHANNEL_{name.upper()}"]) for name in json.loads(os.environ["SM_CHANNELS"])}
    base, test = model_folder(channels.pop("model")), channels.pop("test")
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    collate = DataCollatorForSeq2Seq(tokenizer)
    examples = [example_of(tokenizer, record) for record in read_records(test)]
    batches = [collate(examples[start : start + BATCH]) for start in range(0, len(examples), BATCH)]
    folders = {"base": base} | {name: model_folder(channel) for name, channel in channels.items()}
    for name, folder in folders.items():
        print(f"loss_{name}={loss_of(loaded(base, folder), batches):.6f}", flush=True)


def loaded(base: Path, folder: Path) -> Any:
    """The model of a folder, ready to be evaluated."""
    if (folder / "config.json").is_file():
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    return PeftModel.from_pretrained(network, str(folder)).eval()


@torch.no_grad()
def loss_of(network: Any, batches: list[dict[str, torch.Tensor]]) -> float:
    """Mean loss in nats over all labels that count."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)
    total, count = 0.0, 0
    for batch in batches:
        labels_BT = batch["labels"].to(device)[:, 1:]
        given = {name: batch[name].to(device) for name in ("input_ids", "attention_mask")}
        logits_BTV = network(**given).logits[:, :-1].float()
        flat = torch.nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), labels_BT.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        total += float(flat)
        count += int((labels_BT != IGNORED).sum())
    return total / count


if __name__ == "__main__":
    main()
