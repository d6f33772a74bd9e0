"""TRL's side of `make bench-learning`: SFTTrainer on given token ids, evaluated after each epoch.

Runs in the peers' environment with a specification in JSON as its only argument, and writes its answer to `out`: by
epoch, the loss on validation, and the loss of every test record. Like us it trains in fp32 on a CPU.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
import trl  # type: ignore[import-not-found]
from peft import LoraConfig, get_peft_model

Row = dict[str, list[int]]


class AfterEachEpoch(transformers.TrainerCallback):  # type: ignore[misc]
    """Held-out losses after each epoch."""

    def __init__(self, validation: list[Row], test: list[Row]) -> None:
        self._validation = validation
        self._test = test
        self.epochs: list[dict[str, Any]] = []
        self.steps = 0

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps += 1

    def on_epoch_end(self, *_: Any, model: Any, **__: Any) -> None:
        model.eval()
        self.epochs.append({"validation": nlls(model, self._validation), "test": nlls(model, self._test)})
        model.train()


def main() -> None:
    spec: dict[str, Any] = json.loads(sys.argv[1])
    torch.set_num_threads(1)
    transformers.set_seed(spec["seed"])
    network = transformers.AutoModelForCausalLM.from_pretrained(spec["model"], dtype=torch.float32)
    lora = LoraConfig(r=spec["rank"], lora_alpha=spec["alpha"], target_modules="all-linear")
    network = get_peft_model(network, lora)
    train, validation, test = (json.loads(Path(spec[part]).read_text()) for part in ("train", "validation", "test"))
    after = AfterEachEpoch(validation, test)
    config = trl.SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=spec["batch"],
        learning_rate=spec["rate"],
        lr_scheduler_type="linear",
        warmup_steps=spec["warmup"],
        num_train_epochs=spec["epochs"],
        seed=spec["seed"],
        data_seed=spec["seed"],
        max_length=None,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trl.SFTTrainer(
        model=network,
        args=config,
        train_dataset=datasets.Dataset.from_list(train),
        processing_class=transformers.AutoTokenizer.from_pretrained(spec["model"]),
        callbacks=[after],
    ).train()
    Path(spec["out"]).write_text(json.dumps({"steps": after.steps, "epochs": after.epochs}))


@torch.inference_mode()
def nlls(model: Any, rows: list[Row]) -> list[float]:
    """The loss of each row in nats, over all its labels."""
    found = []
    for row in rows:
        logits = model(input_ids=torch.tensor([row["input_ids"]])).logits[0, :-1].float()
        labels = torch.tensor(row["labels"])[1:]
        loss = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="sum")
        found.append(float(loss))
    return found


if __name__ == "__main__":
    main()
