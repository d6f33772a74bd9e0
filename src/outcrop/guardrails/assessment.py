"""Assessments: what a guardrail found in some texts and does about it, in Bedrock's own members."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from outcrop.guardrails.matching import Action, FoundPlace, Side

LETTERS_PER_UNIT = 1000
"Characters of a text unit, by which Bedrock counts."
BLOCKED, MASKED, NO_ACTION = "Guardrail blocked.", "Guardrail masked.", "No action."
_TOLD = {Action.BLOCK: "BLOCKED", Action.ANONYMIZE: "ANONYMIZED", Action.NONE: "NONE"}


class GuardOutcome(StrEnum):
    """The outcome for the texts of one side."""

    NONE = "none"
    MASKED = "masked"
    BLOCKED = "blocked"

    @property
    def reason(self) -> str:
        """The sentence for it."""
        return {GuardOutcome.NONE: NO_ACTION, GuardOutcome.MASKED: MASKED, GuardOutcome.BLOCKED: BLOCKED}[self]


class ToldTopic(NamedTuple):
    """A topic that was looked for."""

    name: str
    action: Action
    detected: bool


class ToldFilter(NamedTuple):
    """A kind of content that was looked for, and how sure the judge is that it is there."""

    type: str
    confidence: str
    strength: str
    action: Action
    detected: bool


class ToldGrounding(NamedTuple):
    """A score of an answer against its source or its question."""

    type: str
    threshold: float
    score: float
    action: Action
    detected: bool


class TextUnits(NamedTuple):
    """Text units that were processed, by policy."""

    topic: int = 0
    content: int = 0
    word: int = 0
    entity: int = 0
    expression: int = 0
    grounding: int = 0

    def members(self) -> dict[str, int]:
        """Bedrock's members."""
        return {
            "topicPolicyUnits": self.topic,
            "contentPolicyUnits": self.content,
            "wordPolicyUnits": self.word,
            "sensitiveInformationPolicyUnits": self.entity,
            "sensitiveInformationPolicyFreeUnits": self.expression,
            "contextualGroundingPolicyUnits": self.grounding,
            "contentPolicyImageUnits": 0,
            "automatedReasoningPolicyUnits": 0,
            "automatedReasoningPolicies": 0,
        }


def units(num_letters: int) -> int:
    """The text units of so many characters."""
    return -(-num_letters // LETTERS_PER_UNIT)


class Applied(NamedTuple):
    """The guardrail that was applied, in one of its versions."""

    id: str
    arn: str
    version: str

    def members(self) -> dict[str, Any]:
        """Bedrock's members."""
        return {
            "guardrailId": self.id,
            "guardrailVersion": self.version,
            "guardrailArn": self.arn,
            "guardrailOrigin": ["REQUEST"],
            "guardrailOwnership": "SELF",
        }


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """The findings in the texts of one side."""

    applied: Applied
    side: Side
    places: Sequence[FoundPlace] = ()
    topics: Sequence[ToldTopic] = ()
    filters: Sequence[ToldFilter] = ()
    grounding: Sequence[ToldGrounding] = ()
    looked_for: Sequence[str] = ()
    "Types of entities that were looked for, for a full report."
    usage: TextUnits = field(default_factory=TextUnits)
    guarded: int = 0
    "Characters that were looked at."
    total: int = 0
    latency_ms: int = 0

    @property
    def outcome(self) -> GuardOutcome:
        """The outcome of all findings."""
        actions = {place.action for place in self.places}
        for several in (self.topics, self.filters, self.grounding):
            actions |= {each.action for each in several if each.detected}
        if Action.BLOCK in actions:
            return GuardOutcome.BLOCKED
        return GuardOutcome.MASKED if Action.ANONYMIZE in actions else GuardOutcome.NONE

    def members(self, *, full: bool = False) -> dict[str, Any]:
        """Bedrock's assessment; `full` tells what was not found too, but for words and expressions."""
        policies = {
            "topicPolicy": {"topics": [*self._topics(full)]},
            "contentPolicy": {"filters": [*self._filters(full)]},
            "wordPolicy": self._words(),
            "sensitiveInformationPolicy": self._sensitive(full),
            "contextualGroundingPolicy": {"filters": [*self._grounding(full)]},
        }
        return {
            **{name: told for name, told in policies.items() if any(told.values())},
            "invocationMetrics": {
                "guardrailProcessingLatency": self.latency_ms,
                "usage": self.usage.members(),
                "guardrailCoverage": self.coverage(),
            },
            "appliedGuardrailDetails": self.applied.members(),
        }

    def coverage(self) -> dict[str, Any]:
        """The characters that were looked at, of all."""
        return {"textCharacters": {"guarded": self.guarded, "total": self.total}}

    def _topics(self, full: bool) -> Iterator[dict[str, Any]]:
        for each in self.topics:
            if each.detected or full:
                yield {"name": each.name, "type": "DENY", **_done(each.action, detected=each.detected)}

    def _filters(self, full: bool) -> Iterator[dict[str, Any]]:
        for each in self.filters:
            if each.detected or full:
                told = {"type": each.type, "confidence": each.confidence, "filterStrength": each.strength}
                yield {**told, **_done(each.action, detected=each.detected)}

    def _grounding(self, full: bool) -> Iterator[dict[str, Any]]:
        for each in self.grounding:
            if each.detected or full:
                told = {"type": each.type, "threshold": each.threshold, "score": round(each.score, 2)}
                yield {**told, **_done(each.action, detected=each.detected)}

    def _words(self) -> dict[str, Any]:
        return {
            "customWords": [_matched(each, {}) for each in self._of("word")],
            "managedWordLists": [_matched(each, {"type": "PROFANITY"}) for each in self._of("list")],
        }

    def _sensitive(self, full: bool) -> dict[str, Any]:
        entities = [_matched(each, {"type": each.rule.name}) for each in self._of("entity")]
        if full:
            found = {each["type"] for each in entities}
            missing = [name for name in self.looked_for if name not in found]
            entities += [{"match": "", "type": name, **_done(Action.NONE, detected=False)} for name in missing]
        expressions = [
            _matched(each, {"name": each.rule.name, "regex": each.rule.expression}) for each in self._of("expression")
        ]
        return {"piiEntities": entities, "regexes": expressions}

    def _of(self, policy: str) -> Iterator[FoundPlace]:
        """The places of a policy, each text once, as it stands in the texts."""
        seen = set[tuple[str, str]]()
        for place in self.places:
            if place.rule.policy == policy and (place.rule.name, place.text) not in seen:
                seen.add((place.rule.name, place.text))
                yield place


def _matched(place: FoundPlace, members: Mapping[str, str]) -> dict[str, Any]:
    return {"match": place.text, **members, **_done(place.action, detected=True)}


def _done(action: Action, *, detected: bool) -> dict[str, Any]:
    return {"action": _TOLD[action] if detected else "NONE", "detected": detected}
