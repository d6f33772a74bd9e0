"""The texts of a request that a guardrail looks at, and the request with these texts changed.

Converse marks them by guardContent blocks, a body of InvokeModel by tags. Where nothing is marked, everything is looked
at: the messages of Converse without its system prompts, and all of a body.

https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-use-converse-api.html
https://docs.aws.amazon.com/bedrock/latest/userguide/guardrails-tagging.html
"""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from outcrop.errors import Invalid
from outcrop.guardrails.guard import Content
from outcrop.guardrails.slots import StringSlots
from outcrop.invocation.exchange import ChatPrompt, InvocationRequest, RawPrompt, TokensPrompt

BODY_CONFIG = "amazon-bedrock-guardrailConfig"
"The member of a body that says how its tags end, and how its stream is treated."
_GUARD, _SOURCE, _QUERY = "guard_content", "grounding_source", "query"
_SUFFIX = re.compile(r"[A-Za-z0-9]{1,20}")


@dataclass
class _TextPlaces:
    """Places of texts, sorted by what they are for."""

    marked: list[tuple[Any, Any]] = field(default_factory=list)
    plain: list[tuple[Any, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    unguarded: int = 0

    @property
    def guarded(self) -> list[tuple[Any, Any]]:
        return self.marked or self.plain

    def content(self, more: Sequence[tuple[Any, Any]] = ()) -> Content:
        left = sum(len(place[key]) for place, key in self.plain) if self.marked else 0
        return Content(
            texts=tuple(place[key] for place, key in (*self.guarded, *more)),
            sources=tuple(self.sources),
            query="\n".join(self.queries),
            unguarded=self.unguarded + left + sum(map(len, self.sources)),
        )


class ConverseTexts:
    """The texts of a Converse request."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = {
            **params,
            **copy.deepcopy({name: params[name] for name in ("messages", "system") if name in params}),
        }
        self._texts, self._system = _TextPlaces(), _TextPlaces()
        for message in self._params.get("messages", ()):
            for block in message["content"]:
                _read_block(block, self._texts)
        for block in self._params.get("system", ()):
            _read_block(block, self._system)
        self._texts.sources += self._system.sources
        self._texts.queries += self._system.queries
        self._texts.unguarded += sum(len(place[key]) for place, key in self._system.plain)
        self.content = self._texts.content(self._system.marked)

    def filled(self, texts: Sequence[str]) -> dict[str, Any]:
        """The request with other texts in the same places."""
        for (place, key), text in zip((*self._texts.guarded, *self._system.marked), texts, strict=True):
            place[key] = text
        return self._params


def _read_block(block: Any, texts: _TextPlaces) -> None:
    if "guardContent" in block:
        told = block["guardContent"].get("text")
        if told is None:
            raise Invalid("guardContent.image: pictures are not looked at in Outcrop. Leave them out.")
        qualifiers = told.get("qualifiers", ())
        texts.sources += [told["text"]] if _SOURCE in qualifiers else []
        texts.queries += [told["text"]] if _QUERY in qualifiers else []
        if not qualifiers or _GUARD in qualifiers:
            texts.marked.append((told, "text"))
        elif _SOURCE not in qualifiers:
            texts.plain.append((told, "text"))
    elif "text" in block:
        texts.plain.append((block, "text"))
    elif "toolResult" in block:
        for each in block["toolResult"]["content"]:
            texts.plain += [(each, "text")] if "text" in each else []
            texts.plain += StringSlots.of(each, "json") if "json" in each else []


@dataclass(frozen=True, kw_only=True)
class BodyConfig:
    """The words of a body about its guardrail."""

    suffix: str | None = None
    asynchronous: bool = False


def read_body_config(given: Any) -> BodyConfig:
    """The configuration that a body gives. Raises Invalid for what is none."""
    if given is None:
        return BodyConfig()
    if not isinstance(given, dict) or given.keys() - {"tagSuffix", "streamProcessingMode"}:
        raise Invalid(f"{BODY_CONFIG}: expected an object with tagSuffix and streamProcessingMode.")
    suffix, mode = given.get("tagSuffix"), given.get("streamProcessingMode", "SYNCHRONOUS")
    if suffix is not None and (not isinstance(suffix, str) or not _SUFFIX.fullmatch(suffix)):
        raise Invalid(f"{BODY_CONFIG}.tagSuffix: expected 1 to 20 letters and digits.")
    if mode not in ("SYNCHRONOUS", "ASYNCHRONOUS"):
        raise Invalid(f"{BODY_CONFIG}.streamProcessingMode: {mode!r} is none. Choose SYNCHRONOUS or ASYNCHRONOUS.")
    return BodyConfig(suffix=suffix, asynchronous=mode == "ASYNCHRONOUS")


class PromptTexts:
    """The texts of a prompt as a body gave it."""

    def __init__(self, asked: InvocationRequest, suffix: str | None) -> None:
        """Raises Invalid for token ids, and for log probabilities: they would tell what is masked."""
        if isinstance(asked.prompt, TokensPrompt):
            raise Invalid("prompt: token ids cannot be looked at by a guardrail. Send text.")
        if asked.sampling.logprobs is not None:
            raise Invalid("logprobs: they would tell what a guardrail masks. Leave them out, or the guardrail.")
        self._asked = asked
        self._suffix = suffix
        self._whole = StringSlots([_told(asked.prompt)])
        self._pieces = [[*_cut(text, suffix)] for text in self._whole.texts]
        texts = _TextPlaces()
        for pieces in self._pieces:
            for piece in pieces:
                _sort(piece, texts)
        self._guarded = texts.guarded
        self.content = texts.content()

    def filled(self, texts: Sequence[str]) -> InvocationRequest:
        """The request with other texts in the same places, and without tags."""
        for (place, key), text in zip(self._guarded, texts, strict=True):
            place[key] = text
        (told,) = self._whole.filled(["".join(piece["text"] for piece in pieces) for pieces in self._pieces])
        prompt = self._asked.prompt
        if isinstance(prompt, RawPrompt):
            return replace(self._asked, prompt=RawPrompt(text=told["text"]))
        assert isinstance(prompt, ChatPrompt), "token ids were refused"
        turns = [
            {**turn, "content": told["turns"][n]} if turn.get("content") else turn
            for n, turn in enumerate(prompt.messages)
        ]
        return replace(self._asked, prompt=replace(prompt, messages=turns, system=told["system"]))


def _told(prompt: RawPrompt | ChatPrompt) -> dict[str, Any]:
    if isinstance(prompt, RawPrompt):
        return {"text": prompt.text}
    return {"system": prompt.system, "turns": [turn.get("content") or None for turn in prompt.messages]}


def _cut(text: str, suffix: str | None) -> Iterator[dict[str, str]]:
    """The text in pieces, each with the kind of tag that stood around it."""
    at = 0
    if suffix is not None:
        tag = rf"amazon-bedrock-guardrails-(guardContent|groundingSource|query)_{suffix}"
        for found in re.finditer(rf"<{tag}>(.*?)</amazon-bedrock-guardrails-\1_{suffix}>", text, re.DOTALL):
            yield {"kind": "plain", "text": text[at : found.start()]}
            yield {"kind": found[1], "text": found[2]}
            at = found.end()
    yield {"kind": "plain", "text": text[at:]}


def _sort(piece: dict[str, str], texts: _TextPlaces) -> None:
    match piece["kind"]:
        case "guardContent":
            texts.marked.append((piece, "text"))
        case "groundingSource":
            texts.sources.append(piece["text"])
        case "query":
            texts.queries.append(piece["text"])
            texts.plain.append((piece, "text"))
        case _:
            texts.plain.append((piece, "text"))
