"""A guardrail ready to be applied: texts of one side in, what was found in them out.

    guard = Guard.of(version, judge=..., encoder=...)
    assessed = await guard.assess(Content(texts=("call 555-123-4567",)), Side.INPUT)
    assessed.outputs                                     # the texts as they may go on, or the message in their place

What a pattern tells is found at once. What a model tells is asked for one after the other; where the model cannot be
asked, the request fails: nothing goes through unseen.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anyio import to_thread

from outcrop.guardrails import grounding, models
from outcrop.guardrails.assessment import (
    Applied,
    Assessment,
    GuardOutcome,
    TextUnits,
    ToldFilter,
    ToldGrounding,
    ToldTopic,
    units,
)
from outcrop.guardrails.entities import BY_MODEL, MATCHERS
from outcrop.guardrails.expressions import matcher_of
from outcrop.guardrails.matching import Action, FoundPlace, Side, TextRule, masked, scan
from outcrop.guardrails.models import CONFIDENCES, Closeness, Judge
from outcrop.guardrails.profanity import WORDS
from outcrop.guardrails.records import GuardrailVersion
from outcrop.guardrails.words import WordMatcher
from outcrop.store.damage import understood

ABOUT = 0.4
"The cosine from which on a text, or a sentence of it, is about a topic, where an encoder decides."
_MOST_AT_ONCE = 10_000
"Characters that are looked at in a few milliseconds."
_STRENGTHS = {"NONE": None, "LOW": "HIGH", "MEDIUM": "MEDIUM", "HIGH": "LOW"}
"The least confidence that is acted upon, by the strength of a filter."
_PREFIX = {Side.INPUT: "input", Side.OUTPUT: "output"}


@dataclass(frozen=True, kw_only=True)
class Content:
    """Texts to look at, and what an answer is held against."""

    texts: tuple[str, ...]
    sources: tuple[str, ...] = ()
    query: str = ""
    answer: str | None = None
    "The text that is held against them; None: all texts."
    unguarded: int = 0
    "Characters beside them that are not looked at."


@dataclass(frozen=True, kw_only=True)
class Assessed:
    """Texts that were looked at: the findings, and what becomes of the texts."""

    assessment: Assessment
    outputs: tuple[str, ...]
    "The texts, masked where they have to be; the message alone where they are blocked."

    @property
    def outcome(self) -> GuardOutcome:
        return self.assessment.outcome


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A guardrail in one of its versions."""

    applied: Applied
    messages: Mapping[Side, str]
    "What stands in place of texts that are blocked."
    rules: tuple[TextRule, ...] = ()
    quoted: tuple[TextRule, ...] = ()
    "Entities that the judge finds."
    topics: tuple[Mapping[str, Any], ...] = ()
    filters: tuple[Mapping[str, Any], ...] = ()
    groundings: tuple[Mapping[str, Any], ...] = ()
    judge: Judge | None = None
    encoder: Closeness | None = None

    @classmethod
    def of(cls, version: GuardrailVersion, *, judge: Judge | None, encoder: Closeness | None) -> "Guard":
        """The guard of a version on record. Raises Damaged."""
        with understood(version.arn):
            policies, document = version.document["policies"], version.document
            sensitive = policies.get("sensitiveInformationPolicy", {})
            entities = sensitive.get("piiEntities", ())
            return cls(
                applied=Applied(version.id, version.arn, version.version),
                messages={
                    Side.INPUT: document["blockedInputMessaging"],
                    Side.OUTPUT: document["blockedOutputsMessaging"],
                },
                rules=(
                    *_word_rules(policies.get("wordPolicy", {})),
                    *(_entity_rule(each) for each in entities if each["type"] in MATCHERS),
                    *(_expression_rule(each) for each in sensitive.get("regexes", ())),
                ),
                quoted=tuple(_entity_rule(each) for each in entities if each["type"] in BY_MODEL),
                topics=tuple(policies.get("topicPolicy", {}).get("topics", ())),
                filters=tuple(policies.get("contentPolicy", {}).get("filters", ())),
                groundings=tuple(policies.get("contextualGroundingPolicy", {}).get("filters", ())),
                judge=judge,
                encoder=encoder,
            )

    def waits(self, side: Side) -> bool:
        """Whether a text of this side is looked at as a whole, because a model is asked about it."""
        asked = [
            *self._topics_of(side),
            *self._filters_of(side),
            *(rule for rule in self.quoted if side in rule.actions),
        ]
        return bool(asked or (side is Side.OUTPUT and self.groundings))

    @property
    def has_expressions(self) -> bool:
        """Whether it has expressions of somebody else's, which may take their time."""
        return any(rule.policy == "expression" for rule in self.rules)

    async def assess(self, content: Content, side: Side) -> Assessed:
        """Look at texts. Raises what keeps a model from being asked."""
        began = time.monotonic()
        # What takes a while takes it beside other requests.
        aside = self.has_expressions or sum(map(len, content.texts)) > _MOST_AT_ONCE
        scanned = [
            await to_thread.run_sync(scan, text, self.rules, side) if aside else scan(text, self.rules, side)
            for text in content.texts
        ]
        places = [
            sorted([*found.places, *await self._quoted(text, side)], key=lambda place: (place.start, -place.end))
            for text, found in zip(content.texts, scanned, strict=True)
        ]
        whole = "\n".join(content.texts)
        assessment = Assessment(
            applied=self.applied,
            side=side,
            places=[place for several in places for place in several],
            topics=[await self._topic(topic, whole, side) for topic in self._topics_of(side)] if whole else [],
            filters=[await self._filter(each, whole, side) for each in self._filters_of(side)] if whole else [],
            grounding=await self._grounded(whole if content.answer is None else content.answer, content)
            if side is Side.OUTPUT
            else [],
            looked_for=[
                rule.name for rule in (*self.rules, *self.quoted) if rule.policy == "entity" and side in rule.actions
            ],
            usage=self._usage(content, side),
            guarded=sum(map(len, content.texts)),
            total=sum(map(len, content.texts)) + content.unguarded,
        )
        assessment = replace(assessment, latency_ms=round((time.monotonic() - began) * 1000))
        if assessment.outcome is GuardOutcome.BLOCKED:
            return Assessed(assessment=assessment, outputs=(self.messages[side],))
        outputs = tuple(masked(text, found) for text, found in zip(content.texts, places, strict=True))
        return Assessed(assessment=assessment, outputs=outputs)

    def told(self, places: Sequence[FoundPlace], side: Side, num_letters: int) -> Assessment:
        """The assessment of a text that a scanner has looked at."""
        content = Content(texts=("x" * num_letters,))
        return Assessment(
            applied=self.applied,
            side=side,
            places=places,
            looked_for=[rule.name for rule in self.rules if rule.policy == "entity" and side in rule.actions],
            usage=self._usage(content, side),
            guarded=num_letters,
            total=num_letters,
        )

    def _topics_of(self, side: Side) -> list[Mapping[str, Any]]:
        return [each for each in self.topics if _is_enabled(each, side)]

    def _filters_of(self, side: Side) -> list[Mapping[str, Any]]:
        """The filters that act on this side, or tell of it."""
        return [each for each in self.filters if _is_enabled(each, side) and each[f"{_PREFIX[side]}Strength"] != "NONE"]

    async def _quoted(self, text: str, side: Side) -> list[FoundPlace]:
        """The places that the judge quotes, wherever they stand."""
        found = list[FoundPlace]()
        for rule in self.quoted:
            if side in rule.actions and text.strip():
                assert self.judge is not None, "a guardrail that needs a judge has one"
                quotes = await models.quotes_of(self.judge, BY_MODEL[rule.name], text)
                matcher = WordMatcher(quotes)
                found += [
                    FoundPlace(each.begin, each.end, rule, rule.actions[side], text[each.begin : each.end])
                    for each in matcher.candidates(text, 0)
                ]
        return found

    async def _topic(self, topic: Mapping[str, Any], text: str, side: Side) -> ToldTopic:
        examples = topic.get("examples", ())
        if self.judge is not None:
            detected = await models.is_about(self.judge, topic["name"], topic["definition"], examples, text)
        else:
            assert self.encoder is not None, "a guardrail with topics has a model that tells them"
            detected = await models.is_close(self.encoder, (topic["definition"], *examples), text, ABOUT)
        return ToldTopic(topic["name"], _action(topic, side), detected)

    async def _filter(self, told: Mapping[str, Any], text: str, side: Side) -> ToldFilter:
        assert self.judge is not None, "a guardrail with content filters has a judge"
        confidence = await models.confidence_of(self.judge, told["type"], text)
        strength = told[f"{_PREFIX[side]}Strength"]
        least = _STRENGTHS[strength]
        detected = least is not None and CONFIDENCES.index(confidence) >= CONFIDENCES.index(least)
        return ToldFilter(told["type"], confidence, strength, _action(told, side), detected)

    async def _grounded(self, answer: str, content: Content) -> list[ToldGrounding]:
        """The scores of an answer: grounding where there is a source, relevance where there is a question."""
        asked = [
            each
            for each in self.groundings
            if each.get("enabled", True) and (content.sources if each["type"] == "GROUNDING" else content.query)
        ]
        if not asked or not answer.strip():
            return []
        scores = await grounding.scores_of(answer, content.sources, content.query, self.encoder)
        found = []
        for each in asked:
            score = scores.grounding if each["type"] == "GROUNDING" else scores.relevance
            action = Action(each.get("action", "BLOCK"))
            found.append(ToldGrounding(each["type"], each["threshold"], score, action, score < each["threshold"]))
        return found

    def _usage(self, content: Content, side: Side) -> TextUnits:
        num = units(sum(map(len, content.texts)))
        policies = {rule.policy for rule in (*self.rules, *self.quoted) if side in rule.actions}
        against = sum(map(len, content.sources)) + len(content.query)
        grounded = side is Side.OUTPUT and self.groundings and against
        return TextUnits(
            topic=num if self._topics_of(side) else 0,
            content=num if self._filters_of(side) else 0,
            word=num if policies & {"word", "list"} else 0,
            entity=num if "entity" in policies else 0,
            expression=num if "expression" in policies else 0,
            grounding=units(sum(map(len, content.texts)) + against) if grounded else 0,
        )


def _word_rules(policy: Mapping[str, Any]) -> list[TextRule]:
    """The rules of words: those with the same actions are one, and the managed list is another."""
    rules, alike = list[TextRule](), dict[tuple[tuple[Side, Action], ...], list[str]]()
    for word in policy.get("words", ()):
        alike.setdefault(tuple(_actions(word).items()), []).append(word["text"])
    for actions, words in alike.items():
        rules.append(TextRule(policy="word", name="", matcher=WordMatcher(words), actions=dict(actions)))
    for each in policy.get("managedWordLists", ()):
        rules.append(TextRule(policy="list", name=each["type"], matcher=WordMatcher(WORDS), actions=_actions(each)))
    return rules


def _entity_rule(entity: Mapping[str, Any]) -> TextRule:
    kind = entity["type"]
    matcher = MATCHERS[kind] if kind in MATCHERS else WordMatcher(())  # those of a judge are quoted by it
    return TextRule(policy="entity", name=kind, matcher=matcher, actions=_actions(entity))


def _expression_rule(each: Mapping[str, Any]) -> TextRule:
    matcher = matcher_of(each, at="regexes")
    return TextRule(
        policy="expression", name=each["name"], matcher=matcher, actions=_actions(each), expression=each["pattern"]
    )


def _actions(config: Mapping[str, Any]) -> dict[Side, Action]:
    return {side: _action(config, side) for side in Side if _is_enabled(config, side)}


def _action(config: Mapping[str, Any], side: Side) -> Action:
    return Action(config.get(f"{_PREFIX[side]}Action", config.get("action", "BLOCK")))


def _is_enabled(config: Mapping[str, Any], side: Side) -> bool:
    return bool(config.get(f"{_PREFIX[side]}Enabled", True))
