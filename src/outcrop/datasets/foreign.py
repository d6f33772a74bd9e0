"""Records as other programs have them: not read, but named, with what to write in their place."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.datasets.conversion import TURNS, WITH_TOOLS, has_tools
from outcrop.datasets.records import Customization

_NOT_READ = "which is not Bedrock's"
_QUESTIONS = (
    ("input", "output"), ("prompt", "response"), ("prompt", "output"), ("prompt", "answer"), ("question", "answer"),
    ("question", "response"), ("query", "response"), ("query", "answer"), ("instruction", "response"),
    ("instruction", "completion"), ("source", "target"), ("problem", "solution"), ("dialogue", "summary"),
    ("article", "highlights"), ("document", "summary"), ("text", "summary"), ("text", "label"), ("input", "target"),
    ("input_text", "output_text"), ("user", "assistant"), ("human", "assistant"),
)  # fmt: skip


PREFERENCE = "a pair for learning preferences (chosen, rejected), from which no method here learns yet"
CHOSEN_ALONE = 'Write what was chosen: {"prompt": prompt, "completion": chosen}.'


class Foreign(NamedTuple):
    """The form's name, and the mapping to write."""

    what: str
    mend: str


def with_tools(value: Mapping[str, Any]) -> Foreign | None:
    """The form of a conversation with tools, which Bedrock has not."""
    if not has_tools(value):
        return None
    return Foreign(f"{WITH_TOOLS.form}, {_NOT_READ}", "Write calls and results as text of the turns.")


def form_of_record(value: Mapping[str, Any], customization: Customization) -> Foreign | None:
    """The form of another program that a record has. None for one that tries to have Bedrock's."""
    if customization == "CONTINUED_PRE_TRAINING":
        return _text(value)
    if "completion" in value and "prompt" in value:
        return None
    for key in TURNS:
        found = _turns(key, value.get(key))
        if found is not None:
            return found
    if "chosen" in value and "rejected" in value:
        return Foreign(PREFERENCE, CHOSEN_ALONE)
    if "messages" in value:
        return None
    if "instruction" in value and "output" in value:
        return Foreign(
            f"Alpaca's form (instruction, input, output), {_NOT_READ}",
            'Write {"prompt": instruction, with input on the lines below it, "completion": output}.',
        )
    return _question(value)


def _turns(key: str, turns: Any) -> Foreign | None:
    first = turns[0] if isinstance(turns, list) and turns else None
    if not isinstance(first, dict):
        return None
    if "from" in first and "value" in first:
        return Foreign(
            f"ShareGPT's form ({key} of from and value), {_NOT_READ}",
            'Write {"messages": [{"role": "user", "content": value of human}, {"role": "assistant", "content": value '
            'of gpt}]}, and a system turn\'s value as "system".',
        )
    if "role" in first and "parts" in first:
        return Foreign(
            f"Gemini's form ({key} of role and parts), {_NOT_READ}",
            'Write {"messages": [{"role": "user", "content": text of the parts}, …]}, with assistant for model.',
        )
    if "role" in first and "content" in first:
        return Foreign(f"{key}: a conversation under another name", f"Write messages for {key}.")
    return None


def _question(value: Mapping[str, Any]) -> Foreign | None:
    for asked, answered in _QUESTIONS:
        if isinstance(value.get(asked), str) and isinstance(value.get(answered), str):
            return Foreign(
                f"{asked} and {answered}, where prompt and completion are expected",
                f'Write {{"prompt": {asked}, "completion": {answered}}}.',
            )
    if isinstance(value.get("text"), str) and not value.keys() & {"prompt", "completion", "input"}:
        return Foreign(
            "a text without prompt and completion",
            'Part it into {"prompt": …, "completion": …}, or choose CONTINUED_PRE_TRAINING and write {"input": text}.',
        )
    return None


def _text(value: Mapping[str, Any]) -> Foreign | None:
    if "instruction" in value and "output" in value:
        mend = 'Write {"input": "<text>"}, or choose that customizationType.'
        return Foreign("Alpaca's form (instruction, input, output), which belongs to FINE_TUNING", mend)
    if "input" in value or value.keys() & {"prompt", "completion", "messages"}:
        return None
    for key in ("text", "content", "document", "body", "page_content", "passage"):
        if isinstance(value.get(key), str):
            return Foreign(f"{key}, where input is expected", f'Write {{"input": {key}}}.')
    return None
