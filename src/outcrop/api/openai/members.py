"""Members of OpenAI's bodies that the door itself settles: what is not served is refused by its name, never overlooked.

`Settled` holds what is left for the dialect, and what the door has to know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outcrop.api.openai import refusals
from outcrop.guardrails.inputs import BODY_CONFIG
from outcrop.invocation.schema import Flag, Malformed, Struct

HINTS = ("user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "metadata")
"""They name people, requests and caches to OpenAI, and change no answer: prompts are cached here by themselves, and the
invocation log tells the metadata."""
_STREAM_OPTIONS = Struct(optional={"include_usage": Flag(), "include_obfuscation": Flag()})


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A body without the members that the door has settled."""

    body: dict[str, Any]
    streams: bool
    tells_usage: bool
    "Whether the last chunk of a stream tells the tokens."
    guardrail: Any = None
    "What the body says of the guardrail that its headers name."


def settle(body: Mapping[str, Any], *, unserved: Mapping[str, str], only: Mapping[str, tuple[Any, ...]]) -> Settled:
    """The body, settled. `unserved` says why a member is refused, `only` which values of one change nothing."""
    for name, why in unserved.items():
        if name in body:
            raise refusals.unserved(name, why)
    for name, values in only.items():
        if name in body and body[name] not in values:
            offered = " or ".join(_shown(value) for value in values)
            raise refusals.unserved(name, f"only {offered} is served. Leave it out.")
    streams, options = body.get("stream", False), body.get("stream_options")
    problems = Flag().violations(streams, "#/stream")
    if options is not None:
        problems += _STREAM_OPTIONS.violations(options, "#/stream_options")
        if not problems and not streams:
            problems = ["#/stream_options: it is only allowed when stream is true"]
    if problems:
        raise Malformed(problems)
    if (options or {}).get("include_obfuscation"):
        raise refusals.unserved("stream_options.include_obfuscation", "chunks are not padded here. Leave it out.")
    taken = {"model", "stream", "stream_options", BODY_CONFIG, *HINTS, *only}
    return Settled(
        body={name: value for name, value in body.items() if name not in taken},
        streams=streams,
        tells_usage=bool((options or {}).get("include_usage")),
        guardrail=body.get(BODY_CONFIG),
    )


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
