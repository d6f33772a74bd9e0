"""A peer's process in `make bench-train`: TRL's SFTTrainer or the Trainer of transformers, one step a turn.

Runs in the peers' environment with a specification in JSON as its only argument. Like us it trains in fp32 on a CPU,
without gradient checkpointing, and with torch's fused AdamW.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

from bench.train_data import ALPHA, LONGEST, PAD, RANK, Turns, peak_bytes, read_records


class Step:
    """The start times, tokens and loss of the training step in this turn."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.began_cpu = time.process_time()
        self.tokens = 0
        self.loss = 0.0


class TakesTurns(transformers.TrainerCallback):  # type: ignore[misc]
    """A step begins when the driver says so."""

    def __init__(self, turns: Turns, device: str) -> None:
        self._turns = turns
        self._device = device
        self.step = Step()

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._turns.answer(ready=True)

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self._turns.wait()
        self.step = Step()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if self._device == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - self.step.began
        self._turns.answer(
            seconds=seconds,
            cpu_seconds=time.process_time() - self.step.began_cpu,
            tokens=self.step.tokens,
            peak_bytes=peak_bytes(self._device),
            loss=self.step.loss,
        )


def main() -> None:
    turns = Turns()
    spec: dict[str, Any] = json.loads(sys.argv[1])
    torch.manual_seed(0)
    if spec.get("threads"):
        torch.set_num_threads(spec["threads"])
    callback = TakesTurns(turns, spec["device"])
    trainer = {"trl": with_trl, "hf": with_transformers}[spec["library"]](spec, network_of(spec), callback)
    trainer.train()
    os._exit(0)


def network_of(spec: dict[str, Any]) -> Any:
    on_gpu = spec["device"] == "cuda"
    network = transformers.AutoModelForCausalLM.from_pretrained(
        spec["model"],
        dtype=torch.bfloat16 if on_gpu else torch.float32,
        attn_implementation="flash_attention_2" if on_gpu else "sdpa",
    )
    if spec["method"] == "full":
        return network
    if spec.get("adapter"):
        return PeftModel.from_pretrained(network, spec["adapter"], is_trainable=True)
    return get_peft_model(network, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear"))


def counting(kind: type, callback: TakesTurns) -> type:
    """The trainer, made to count the tokens that are no padding and to add up the loss of a step."""

    class Counting(kind):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
            mask = inputs.get("attention_mask")
            callback.step.tokens += int(mask.sum()) if mask is not None else inputs["input_ids"].numel()
            loss = super().training_step(model, inputs, *arguments, **keywords)
            callback.step.loss += float(loss)
            return loss

    return Counting


def common(spec: dict[str, Any]) -> dict[str, Any]:
    """Arguments that both trainers get: those of the driver, and the rest as we train."""
    rows, accumulate = spec["micro_batch"], spec["accumulate"]
    on_gpu = spec["device"] == "cuda"
    return {
        "output_dir": tempfile.mkdtemp(),
        "per_device_train_batch_size": rows,
        "gradient_accumulation_steps": accumulate,
        "learning_rate": spec["learning_rate"],
        "lr_scheduler_type": spec.get("schedule", "constant"),
        "max_steps": spec["steps"],
        "weight_decay": 0.0,
        "use_cpu": not on_gpu,
        "bf16": on_gpu,
        "gradient_checkpointing": False,
        "use_liger_kernel": on_gpu,
        "train_sampling_strategy": "group_by_length" if spec["way"] == "grouped" else "sequential",
        "dataloader_pin_memory": on_gpu,
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def with_trl(spec: dict[str, Any], network: Any, callback: TakesTurns) -> Any:
    import datasets
    import trl  # type: ignore[import-not-found]

    records = read_records(Path(spec["in_order"]))
    labels = [[-100] * record.num_prompt + record.ids[record.num_prompt :] for record in records]
    rows = datasets.Dataset.from_dict({"input_ids": [record.ids for record in records], "labels": labels})
    config = trl.SFTConfig(**common(spec), max_length=spec.get("longest", LONGEST), packing=spec["way"] == "packed")
    tokenizer = transformers.AutoTokenizer.from_pretrained(spec["model"])
    kind = counting(trl.SFTTrainer, callback)
    return kind(model=network, args=config, train_dataset=rows, processing_class=tokenizer, callbacks=[callback])


def with_transformers(spec: dict[str, Any], network: Any, callback: TakesTurns) -> Any:
    rows = [
        {"input_ids": record.ids, "labels": [-100] * record.num_prompt + record.ids[record.num_prompt :]}
        for record in read_records(Path(spec["in_order"]))
    ]
    kind = counting(transformers.Trainer, callback)
    arguments = transformers.TrainingArguments(**common(spec))
    return kind(model=network, args=arguments, train_dataset=rows, data_collator=padded, callbacks=[callback])


def padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)

    def fill(name: str, with_: int) -> torch.Tensor:
        return torch.tensor([row[name] + [with_] * (longest - len(row[name])) for row in rows])

    mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows])
    return {"input_ids": fill("input_ids", PAD), "labels": fill("labels", -100), "attention_mask": mask}


if __name__ == "__main__":
    main()
