"""A training task: one frozen value that a worker could write down and another could take up."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from outcrop.datasets.records import Customization
from outcrop.keys.sealed_folder import PLAIN, FolderSeal, OpenedKeys
from outcrop.network.adapters.method import DEFAULT, Full, Method, continues, read_adapter
from outcrop.network.run_mode import RunMode
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.training.schedule import Schedule

TOKENS_AT_ONCE = 1536
"Where an adapter learns: more gains little speed for the memory it takes."
TOKENS_AT_ONCE_WHOLE = 4096
"Where all weights learn: each row reads and writes a gradient as large as the network, so fewer rows are faster."


def tokens_at_once(method: Method) -> int:
    """The tokens at once that suit a method, where nobody says another number (docs/log.md)."""
    return TOKENS_AT_ONCE_WHOLE if isinstance(method, Full) else TOKENS_AT_ONCE


@dataclass(frozen=True, kw_only=True)
class TrainingHyper:
    """How to train. The defaults suit a small network and a CPU."""

    epochs: int
    batch_size: int
    "Records of one optimizer step."
    learning_rate: float
    warmup_steps: int = 0
    schedule: Schedule = "linear"
    method: Method = DEFAULT
    seed: int = 0
    evaluations_per_epoch: int | None = None
    "None: four, fewer where the validation data is large beside the training data."
    evaluate_every_steps: int | None = None
    "Steps between evaluations, counted over the run, its end included; None: by the epoch."
    held_out_percentage: float = 0.0
    "Of the training records, set aside for validation where no validation data is given; 0 to 50."
    patience: int | None = None
    "Stop after so many evaluations without improvement; None trains to the end."
    threshold: float = 0.0
    "A validation loss must be lower by more than this to count as an improvement."
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    token_budget: int = TOKENS_AT_ONCE
    "Tokens computed at once, over all threads; a longer record is computed all the same."
    gradient_checkpointing: bool = False
    "Layers are computed again on the way back rather than remembered; the numbers are the same."
    threads: int = 0
    "CPU threads; 0 leaves the choice to torch. Equal numbers give equal bits."
    checkpoint_every_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class TrainingTask:
    """A training run, from its data to the folder where the adapter will stand."""

    base_dir: Path
    base_name: str
    parent_adapter: Path | None
    "The adapter of a custom model that is trained further, on `base_dir`; None where there is none."
    train: Path
    "A file, or a folder of files."
    validators: tuple[Path, ...]
    "The first is evaluated while training; the others at its beginning and end."
    customization: Customization
    hyper: TrainingHyper
    run_dir: Path
    "Checkpoints; may be removed when the run is over."
    output_dir: Path

    base_owner: str | None = None
    "Id of the custom model whose own network `base_dir` holds; None: it is a foundation model's."

    begins_at_random: bool = False
    "Whether the weights in `base_dir` are random ones, made for this task."

    encoded: tuple[Path, ...] = ()
    "What the preflight has encoded of the training file and each validator; empty: it is encoded when it is read."

    prompt_format: PromptFormat = PromptFormat.TEXT
    "Of prompts with completions, and of the day that chat templates write."

    way: RunMode = RunMode.PACKED
    "In which the base model's network is run."

    context_length: int | None = None
    "Most tokens of a sequence; None: what the network's configuration says."

    seal: FolderSeal | None = None
    "What seals all that the run leaves on the disk, and where it works in memory; None: nothing is sealed."

    keys: OpenedKeys = PLAIN
    "Of what the run starts from, where that is sealed."

    notes: tuple[str, ...] = ()
    "What was understood otherwise than it was asked for, in plain words; told with the plan and the result."

    @property
    def merges_parent(self) -> bool:
        """Whether the parent's adapter becomes part of the network, since another method begins on it."""
        parent = self.parent_adapter
        return parent is not None and not continues(read_adapter(parent), self.hyper.method)

    def digest(self) -> str:
        """Equal for runs that learn the same from the same, wherever their files lie."""
        hyper = asdict(self.hyper)
        for name in ("threads", "checkpoint_every_s"):
            del hyper[name]
        parts = {
            "base": [self.base_name, self.base_owner, *_weights(self.base_dir)],
            "parent": None
            if self.parent_adapter is None
            else _contents(self.parent_adapter / "adapter_model.safetensors"),
            "train": _contents(self.train),
            "validators": [_contents(path) for path in self.validators],
            "customization": self.customization,
            "prompt_format": str(self.prompt_format),
            "method": self.hyper.method.name,
            "hyper": hyper,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _contents(path: Path) -> str:
    """The digest of a file, or of all in a folder: their names, and what they hold."""
    if path.is_dir():
        inside = sorted(each for each in path.rglob("*") if each.is_file())
        told = [[each.relative_to(path).as_posix(), _contents(each)] for each in inside]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _weights(folder: Path) -> list[str]:
    """Names and sizes stand for the weights: reading gigabytes at every start costs more than it protects."""
    files = sorted(folder.glob("*.safetensors"))
    return [_contents(folder / "config.json"), *[f"{file.name}:{file.stat().st_size}" for file in files]]
