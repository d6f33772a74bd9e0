"""A training job's own script: LoRA by PEFT on a base model from a channel, the epoch with the best validation kept.

SM_CHANNEL_MODEL        the base model, a Hugging Face directory or a tar.gz of one; nothing is fetched
SM_CHANNEL_TRAIN        JSON Lines of prompt and completion
SM_CHANNEL_VALIDATION   the same
SM_CHANNEL_FEEDBACK     the same, if there is any: what visitors have chosen
/opt/ml/checkpoints     an epoch each; a job that begins again goes on from the last one
SM_MODEL_DIR            the adapter, in PEFT's layout
"""

import argparse
import os
from pathlib import Path

import torch
from checkpoints import last_checkpoint
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer, TrainingArguments
from verses import example_of, model_folder, read_records

CHECKPOINTS = Path("/opt/ml/checkpoints")


def main() -> None:
    options = parse_options()
    base = model_folder(Path(os.environ["SM_CHANNEL_MODEL"]))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    train = read_records(Path(os.environ["SM_CHANNEL_TRAIN"]))
    validation = read_records(Path(os.environ["SM_CHANNEL_VALIDATION"]))
    feedback = read_records(Path(os.environ["SM_CHANNEL_FEEDBACK"])) if "SM_CHANNEL_FEEDBACK" in os.environ else []
    print(f"{len(train)} records and {len(feedback)} of visitors; {len(validation)} for validation", flush=True)

    network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    targets = "all-linear" if options.targets == "all-linear" else options.targets.split(",")
    lora = LoraConfig(r=options.rank, lora_alpha=options.alpha, target_modules=targets, task_type="CAUSAL_LM")
    adapted = get_peft_model(network, lora)
    adapted.print_trainable_parameters()
    trainer = Trainer(
        model=adapted,
        args=arguments(options),
        train_dataset=[example_of(tokenizer, record) for record in [*train, *feedback]],
        eval_dataset=[example_of(tokenizer, record) for record in validation],
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    trainer.train(resume_from_checkpoint=last_checkpoint(CHECKPOINTS))
    print(f"best epoch: {Path(trainer.state.best_model_checkpoint).name}, loss {trainer.state.best_metric:.4f}")
    # Whoever serves the adapter knows its base by a name, and not by the folder it lay in here.
    adapted.peft_config["default"].base_model_name_or_path = options.base_name
    adapted.save_pretrained(os.environ["SM_MODEL_DIR"], save_embedding_layers=False)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a LoRA adapter.")
    parser.add_argument("--base-name", required=True, help="as the server of the adapter names its base")
    parser.add_argument("--epochs", type=float, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.003)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--alpha", type=int, default=32)
    parser.add_argument("--targets", default="all-linear", help="names of layers, parted by commas")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def arguments(options: argparse.Namespace) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(CHECKPOINTS),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        seed=options.seed,
        use_cpu=not torch.cuda.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=25,
        logging_first_step=True,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        disable_tqdm=True,
        report_to="none",
    )


if __name__ == "__main__":
    main()
