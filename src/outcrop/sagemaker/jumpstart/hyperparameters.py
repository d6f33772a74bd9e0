"""The hyperparameters of a JumpStart fine-tuning: JumpStart's names, and what each of them is here.

The table is `hyperparameters.toml` beside this file. A model's specification is written from it, and the training
script reads what it was given by it.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from outcrop.customization.choices import hyperparameters, rates
from outcrop.errors import Invalid

FAMILY = "outcrop"
"The family of the house's own names, in which a number means what it says."
BATCH = ("per_device_train_batch_size", "gradient_accumulation_steps")
SPLIT = "validation_split_ratio"
_FILE = Path(__file__).with_name("hyperparameters.toml")
_LORA_ALONE = {"lora_r", "lora_alpha", "lora_dropout"}
_ADAPTERS_ALONE = {"target_modules"}
_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class JumpStartHyperparameter:
    """A hyperparameter by JumpStart's name."""

    name: str
    type: str = "text"
    shown: str | None = None
    "Its default in a specification; None: it is not listed there."
    least: float | None = None
    most: float | None = None
    options: tuple[str, ...] = ()
    becomes: str = ""
    "The house's own name."
    words: Mapping[str, str] = field(default_factory=dict)
    here: str = ""
    instead: str = ""

    def specification(self, default: str) -> dict[str, Any]:
        """The entry in a model's specification."""
        told: dict[str, Any] = {"name": self.name, "type": self.type, "default": default, "scope": "algorithm"}
        if self.options:
            told["options"] = list(self.options)
        if self.least is not None:
            told |= {"min": self.least, "max": self.most}
        return told


@dataclass(frozen=True, kw_only=True)
class FineTuningChoices:
    """The choices of a JumpStart fine-tuning, understood."""

    values: Mapping[str, str]
    "The house's own hyperparameters, as a customization job is given them."
    is_instruction: bool
    is_chat: bool
    has_separator: bool
    most_tokens: int | None
    "Of a sequence; None: as many as the model attends to."
    notes: tuple[str, ...]
    "What was given and means nothing here, in plain words."


@cache
def known() -> dict[str, JumpStartHyperparameter]:
    """Every hyperparameter that is taken, by its name."""
    table = tomllib.loads(_FILE.read_text("utf-8"))
    return {name: _read(name, entry) for name, entry in table.items()}


def specifications(learning_rate: float) -> list[dict[str, Any]]:
    """The hyperparameters as a model's specification lists them; `learning_rate` suits LoRA on the model."""
    default_batch = int(known()[BATCH[0]].shown or 1)
    rate = rates.written(rates.for_batch(learning_rate, default_batch))
    return [
        each.specification(rate if each.shown == hyperparameters.RECOMMENDED else each.shown)
        for each in known().values()
        if each.shown is not None
    ]


def read(given: Mapping[str, str]) -> FineTuningChoices:
    """The choices of a job by what it was given. Raises Invalid with every problem at once."""
    given = {name: text.title() if text.lower() in _TRUTHS else text for name, text in given.items()}
    unknown = sorted(set(given) - set(known()))
    problems = [f"hyperparameters.{name}: unknown. Known are {', '.join(_listed())}." for name in unknown]
    problems += [problem for name, text in given.items() if name in known() and (problem := _problem(name, text))]
    if problems:
        raise Invalid(" ".join(problems))
    values = {each.name: each.shown for each in known().values() if each.shown is not None} | dict(given)
    is_instruction, is_chat = _is(values["instruction_tuned"]), _is(values["chat_dataset"])
    if is_instruction and is_chat:
        raise Invalid("hyperparameters.chat_dataset: the data cannot be instructions too. Set one of the two to False.")
    most = int(values["max_input_length"])
    return FineTuningChoices(
        values=hyperparameters.filled(FAMILY, _ours(values)),
        is_instruction=is_instruction,
        is_chat=is_chat,
        has_separator=_is(values["add_input_output_demarcation_key"]) and values["prompt_format"] == "text",
        most_tokens=None if most == -1 else most,
        notes=tuple(
            f"{name} {given[name]}: means nothing here; {each.instead}"
            for name, each in known().items()
            if name in given and each.instead
        ),
    )


def _ours(values: Mapping[str, str]) -> dict[str, str]:
    """The house's own values for those of JumpStart."""
    method = values["peft_type"]
    left_out = set[str]()
    if method not in ("lora", "dora"):
        left_out |= _LORA_ALONE
    if method == "None":
        left_out |= _ADAPTERS_ALONE
    found = {
        each.becomes: each.words.get(values[name], values[name])
        for name, each in known().items()
        if each.becomes and name in values and name not in left_out
    }
    batch = 1
    for name in BATCH:
        batch *= int(values[name])
    percentage = rates.written(100 * float(values[SPLIT]))
    held_out = {"outcrop.evalPercentage": percentage} if float(values[SPLIT]) else {}
    return {**found, **held_out, "batchSize": str(batch)}


def _problem(name: str, text: str) -> str | None:
    told = known()[name]
    where = f"hyperparameters.{name}"
    if told.instead:
        return None
    if told.options:
        return (
            None
            if text in told.options
            else f"{where}: {text[:60]!r} is none of {', '.join(told.options)}. Choose one of them."
        )
    if name.startswith("max_") and told.least is None:
        return None if text == "-1" else f"{where}: {text[:60]} is not built. {told.here}"
    if told.becomes:
        every = {**hyperparameters.read_family(FAMILY).allowed, **hyperparameters.read_family("extra").allowed}
        problem = every[told.becomes].problem(text)
        return None if problem is None else f"{where}: {problem}"
    return _number_problem(told, text)


def _number_problem(told: JumpStartHyperparameter, text: str) -> str | None:
    assert told.least is not None, "what is no text is a number in a range"
    assert told.most is not None, "what is no text is a number in a range"
    choose = f"Choose {told.least:g} to {told.most:g}."
    try:
        number = int(text) if told.type == "int" else float(text)
    except ValueError:
        return f"hyperparameters.{told.name}: {text[:60]!r} is no {'whole ' * (told.type == 'int')}number. {choose}"
    if not told.least <= number <= told.most or (told.name == "max_input_length" and number == 0):
        return f"hyperparameters.{told.name}: {text[:60]} is not allowed. {choose}"
    return None


def _is(text: str) -> bool:
    return _TRUTHS[text.lower()]


def _listed() -> list[str]:
    return [name for name, each in known().items() if not each.instead]


def _read(name: str, entry: Mapping[str, Any]) -> JumpStartHyperparameter:
    return JumpStartHyperparameter(
        name=name,
        type=entry.get("type", "text"),
        shown=entry.get("shown"),
        least=entry.get("min"),
        most=entry.get("max"),
        options=tuple(entry.get("options", ())),
        becomes=entry.get("is", ""),
        words=entry.get("words", {}),
        here=entry.get("here", ""),
        instead=entry.get("instead", ""),
    )
