"""Pairs for learning preferences: an answer that was chosen before another one. They are read and checked, not learned.

{"prompt": "…", "chosen": "…", "rejected": "…"}
{"prompt": [{"role": "user", …}], "chosen": [{"role": "assistant", …}], "rejected": [{"role": "assistant", …}]}

The prompt may be left out, where both answers begin with it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.datasets import shapes
from outcrop.datasets.flaws import Flaw, ShapeError, kind

_AS_STRINGS = '{"prompt": "…", "chosen": "…", "rejected": "…"}'


@dataclass(frozen=True, kw_only=True)
class PreferencePair:
    """Two answers to one prompt, the better one first."""

    prompt: str | tuple[Mapping[str, Any], ...] | None
    "None: both answers begin with it."
    chosen: str | tuple[Mapping[str, Any], ...]
    rejected: str | tuple[Mapping[str, Any], ...]
    line: int


def is_preference(value: Any) -> bool:
    """Whether a value tries to be a pair for learning preferences."""
    return isinstance(value, dict) and "chosen" in value and "rejected" in value and "completion" not in value


def parse(value: dict[str, Any], *, line: int) -> PreferencePair:
    """The pair that a JSON value stands for. Raises ShapeError with everything that is wrong with it."""
    prompt, chosen, rejected = value.get("prompt"), value["chosen"], value["rejected"]
    flaws = [flaw for key in ("chosen", "rejected") for flaw in _answer(key, value[key], prompt)]
    if not isinstance(prompt, str | list | None):
        flaws.append(Flaw("prompt", f"expected a string, found {kind(prompt)}", f"Write {_AS_STRINGS}."))
    if type(chosen) is not type(rejected):
        what = f"{kind(rejected)}, where chosen is {kind(chosen)}"
        flaws.append(Flaw("rejected", what, "Write both answers in one form."))
    elif chosen == rejected:
        flaws.append(Flaw("rejected", "equal to what was chosen, so nothing is preferred", "Remove the pair."))
    if flaws:
        raise ShapeError(flaws)
    return PreferencePair(prompt=_frozen(prompt), chosen=_frozen(chosen), rejected=_frozen(rejected), line=line)


def _answer(key: str, answer: Any, prompt: Any) -> list[Flaw]:
    if isinstance(answer, str):
        return [] if answer.strip() else [Flaw(key, "blank" if answer else "empty", f"Write {_AS_STRINGS}.")]
    if not isinstance(answer, list):
        return [Flaw(key, f"expected a string or a list of turns, found {kind(answer)}", f"Write {_AS_STRINGS}.")]
    asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    begun = asked if isinstance(asked, list) and answer and not _begins(answer, asked) else []
    try:
        shapes.parse({"messages": [*begun, *answer]}, line=0, customization="FINE_TUNING")
    except ShapeError as error:
        return [flaw._replace(field=_moved(flaw.field, key, len(begun))) for flaw in error.flaws]
    return []


def _begins(answer: list[Any], asked: list[Any]) -> bool:
    """Whether the answer repeats its prompt, as some collections have it."""
    return answer[: len(asked)] == asked


def _moved(field: str, key: str, before: int) -> str:
    """The record's own path for one of the conversation that it was checked as."""
    number, _, rest = field.removeprefix("messages[").partition("]")
    if not number.isdigit():
        return field.replace("messages", key, 1)
    place = int(number) - before
    return f"{key}[{place}]{rest}" if place >= 0 else f"prompt[{number}]{rest}"


def _frozen(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part
