"""Tags between which a model thinks before it answers, found in its chat template and vocabulary."""

from enum import Enum
from typing import NamedTuple

from outcrop.tokens.tokenizer import Tokenizer


class ThoughtTags(NamedTuple):
    """The tags around a thought."""

    opening: str
    closing: str


class ThoughtPlace(Enum):
    """Whether the answer behind a prompt begins within a thought."""

    NONE = "the model does not think, or has thought already"
    POSSIBLE = "the model may open a thought"
    OPENED = "the prompt has opened one"


_KNOWN = (
    ThoughtTags("<think>", "</think>"),
    ThoughtTags("[THINK]", "[/THINK]"),
    ThoughtTags("<seed:think>", "</seed:think>"),
)
_TAIL = 24
"Tokens at the end of a prompt, among which the tags of a thought would stand."


def tags_of(tokenizer: Tokenizer) -> ThoughtTags | None:
    """The tags of a model that thinks: its template writes them, or both are tokens. None for any other."""
    template = tokenizer.chat_template
    if template is None:
        return None
    for tags in _KNOWN:
        if template.mentions(tags.closing) or all(tokenizer.token_id(tag) is not None for tag in tags):
            return tags
    return None


def place_behind(tokenizer: Tokenizer, tags: ThoughtTags | None, prompt_ids: list[int]) -> ThoughtPlace:
    """The place in which an answer begins behind a prompt."""
    if tags is None:
        return ThoughtPlace.NONE
    end = "".join(_spelled(tokenizer, one) for one in prompt_ids[-_TAIL:]).rstrip()
    if end.endswith(tags.closing):
        return ThoughtPlace.NONE
    return ThoughtPlace.OPENED if end.endswith(tags.opening) else ThoughtPlace.POSSIBLE


def _spelled(tokenizer: Tokenizer, token: int) -> str:
    if token in tokenizer.special_ids:
        return tokenizer.token(token) or ""
    return tokenizer.bytes_of(token).decode("utf-8", "replace")
