"""The form in which a job's prompts are learned.

It is as asked for, as the parent keeps it, or as suits the base model.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from outcrop.catalog.base_model import Customization
from outcrop.catalog.custom_models import format_of
from outcrop.errors import Invalid
from outcrop.store.resources import Resource
from outcrop.tokens.prompt_format import PromptFormat, format_of_pairs
from outcrop.tokens.tokenizer import Tokenizer

NAME = "outcrop.promptFormat"
DAY = "outcrop.promptDay"
_RECOMMENDED = "recommended"


def format_of_prompts(
    values: Mapping[str, str],
    tokenizer: Tokenizer,
    *,
    parent: Resource | None,
    customization: Customization,
    day: datetime,
) -> PromptFormat:
    """The form of prompts with completions, by the hyperparameters; `day` is the job's, where they name none.

    A custom model that is trained further keeps its form and its day. A base model's documents have no prompts: what
    continued pre-training leaves behind is spoken to in plain text, unless another form is asked for.
    """
    asked, kept = values.get(NAME, _RECOMMENDED), None if parent is None else format_of(parent)
    asked_day = moment(values.get(DAY, _RECOMMENDED))
    day = asked_day or day
    if kept is not None:
        return PromptFormat(kept.value if asked == _RECOMMENDED else asked, asked_day or kept.today or day)
    if asked != _RECOMMENDED:
        return PromptFormat(asked, day)
    plain = customization is Customization.CONTINUED_PRE_TRAINING
    return replace(PromptFormat.TEXT if plain else format_of_pairs(tokenizer), today=day)


def moment(text: str) -> datetime | None:
    """A date, or a date and time, in ISO form; UTC where it names no zone. None for anything else."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def format_of_model(learned: PromptFormat, train: Path, customization: Customization) -> PromptFormat:
    """The form in which the trained model is spoken to; conversations make a model of conversations."""
    if customization is Customization.CONTINUED_PRE_TRAINING or not holds_conversations(train):
        return learned
    return replace(PromptFormat.CHAT, today=learned.today)


def check(values: Mapping[str, str], train: Path, customization: Customization) -> None:
    """Raises Invalid for a form that was asked for and does not go with the records."""
    asked = values.get(NAME, _RECOMMENDED)
    if asked in (_RECOMMENDED, "chat") or customization is Customization.CONTINUED_PRE_TRAINING:
        return
    if holds_conversations(train):
        raise Invalid(
            f"hyperParameters.{NAME}: {train.name} holds conversations, which are learned as chat; {asked[:100]!r} is "
            "for prompts with completions. Leave it out, or give the records a prompt and a completion."
        )


def holds_conversations(train: Path) -> bool:
    """Told by the first record of a file whose records are known to be good."""
    with train.open("rb") as lines:
        first = next(line for line in lines if line.strip())
    return "messages" in json.loads(first.removeprefix(b"\xef\xbb\xbf"))
