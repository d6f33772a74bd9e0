"""The configuration of a guardrail, as a request gives it: checked, and kept as it is told again."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from outcrop.errors import Invalid
from outcrop.guardrails.entities import BY_MODEL, MATCHERS
from outcrop.guardrails.expressions import matcher_of
from outcrop.guardrails.states import ENCODER_TAG, JUDGE_TAG
from outcrop.guardrails.words import WordMatcher

POLICIES = {
    "topicPolicyConfig": ("topicPolicy", {"topicsConfig": "topics", "tierConfig": "tier"}),
    "contentPolicyConfig": ("contentPolicy", {"filtersConfig": "filters", "tierConfig": "tier"}),
    "wordPolicyConfig": ("wordPolicy", {"wordsConfig": "words", "managedWordListsConfig": "managedWordLists"}),
    "sensitiveInformationPolicyConfig": (
        "sensitiveInformationPolicy",
        {"piiEntitiesConfig": "piiEntities", "regexesConfig": "regexes"},
    ),
    "contextualGroundingPolicyConfig": ("contextualGroundingPolicy", {"filtersConfig": "filters"}),
}
"Policies of a request, and the names by which an answer tells them and their parts."
_MESSAGES = ("blockedInputMessaging", "blockedOutputsMessaging")
_NONE = "NONE"


def read(params: Mapping[str, Any], *, judge: str | None, encoder: str | None) -> dict[str, Any]:
    """The document of a guardrail that a request describes. `judge` and `encoder`: models that it may ask, if any.

    Raises Invalid for what cannot be, and for what takes a model that nobody has named.
    """
    if params.get("automatedReasoningPolicyConfig"):
        raise Invalid(
            "automatedReasoningPolicyConfig: Automated Reasoning is not built in Outcrop. Leave it out; contextual "
            "grounding holds an answer against a source."
        )
    given = {name: _kept(params[name]) for name in POLICIES if params.get(name)}
    cross = params.get("crossRegionConfig")
    profile = cross["guardrailProfileIdentifier"] if cross else None
    messages = {name: params[name] for name in _MESSAGES}
    description = params.get("description")
    if not given:
        raise Invalid("A guardrail has one policy at least. Give a topic, content, word, sensitive information or "
                      "contextual grounding policy.")  # fmt: skip
    _check_words(given.get("wordPolicyConfig", {}))
    _check_entities(given.get("sensitiveInformationPolicyConfig", {}), judge)
    _check_filters(given.get("contentPolicyConfig", {}), judge)
    _check_topics(given.get("topicPolicyConfig", {}), judge or encoder)
    _check_grounding(given.get("contextualGroundingPolicyConfig", {}))
    told = {POLICIES[name][0]: _told(config, POLICIES[name][1]) for name, config in given.items()}
    return {
        "name": params["name"],
        **({"description": description} if description else {}),
        **messages,
        "policies": told,
        "judge": judge,
        "encoder": encoder,
        **({"crossRegion": profile} if profile else {}),
    }


def _kept(value: Any) -> Any:
    """A value as it is kept: plain, and whole."""
    if isinstance(value, Mapping):
        return {name: _kept(each) for name, each in value.items()}
    return [_kept(each) for each in value] if isinstance(value, list) else value


def _told(config: Mapping[str, Any], parts: Mapping[str, str]) -> dict[str, Any]:
    return {told: config[name] for name, told in parts.items() if config.get(name)}


def _check_words(config: Mapping[str, Any]) -> None:
    for number, word in enumerate(config.get("wordsConfig", ())):
        if not WordMatcher([word["text"]]).longest:
            raise Invalid(f"wordPolicyConfig.wordsConfig.{number}.text: blank. Give a word or a phrase.")
    _check_once("wordPolicyConfig.managedWordListsConfig", config.get("managedWordListsConfig", ()), "type")


def _check_entities(config: Mapping[str, Any], judge: str | None) -> None:
    at = "sensitiveInformationPolicyConfig"
    entities, expressions = config.get("piiEntitiesConfig", ()), config.get("regexesConfig", ())
    _check_once(f"{at}.piiEntitiesConfig", entities, "type")
    _check_once(f"{at}.regexesConfig", expressions, "name")
    asked = [each["type"] for each in entities if each["type"] in BY_MODEL]
    if asked and judge is None:
        raise Invalid(f"{at}.piiEntitiesConfig: no pattern tells {' or '.join(asked)}. {_name_one('judge', JUDGE_TAG)}")
    unknown = [each["type"] for each in entities if each["type"] not in {**BY_MODEL, **MATCHERS}]
    if unknown:
        raise Invalid(f"{at}.piiEntitiesConfig: {', '.join(unknown)} cannot be found in Outcrop. Leave it out.")
    for number, each in enumerate(expressions):
        matcher_of(each, at=f"{at}.regexesConfig.{number}")


def _check_filters(config: Mapping[str, Any], judge: str | None) -> None:
    at, filters = "contentPolicyConfig.filtersConfig", config.get("filtersConfig", ())
    _check_once(at, filters, "type")
    for number, each in enumerate(filters):
        if each["type"] == "PROMPT_ATTACK" and each["outputStrength"] != _NONE:
            raise Invalid(
                f"{at}.{number}.outputStrength: an answer is no attack. Give PROMPT_ATTACK the strength NONE."
            )
        for member in ("inputModalities", "outputModalities"):
            if "IMAGE" in each.get(member, ()):
                raise Invalid(f"{at}.{number}.{member}: pictures are not looked at in Outcrop. Give TEXT alone.")
    asked = [each["type"] for each in filters if (each["inputStrength"], each["outputStrength"]) != (_NONE, _NONE)]
    if asked and judge is None:
        raise Invalid(f"{at}: only a model that reads can tell {' or '.join(asked)}. {_name_one('judge', JUDGE_TAG)}")


def _check_topics(config: Mapping[str, Any], model: str | None) -> None:
    topics = config.get("topicsConfig", ())
    _check_once("topicPolicyConfig.topicsConfig", topics, "name")
    if topics and model is None:
        raise Invalid(
            f"topicPolicyConfig: a topic is told by a model. {_name_one('judge', JUDGE_TAG)} An embedding model does "
            f"as well, by {ENCODER_TAG}."
        )


def _check_grounding(config: Mapping[str, Any]) -> None:
    at, filters = "contextualGroundingPolicyConfig.filtersConfig", config.get("filtersConfig", ())
    _check_once(at, filters, "type")
    for number, each in enumerate(filters):
        if not 0 <= each["threshold"] <= 0.99:
            raise Invalid(f"{at}.{number}.threshold: {each['threshold']:g} is not between 0 and 0.99.")


def _check_once(at: str, entries: Sequence[Mapping[str, Any]], member: str) -> None:
    values = [each[member] for each in entries]
    twice: Collection[str] = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise Invalid(f"{at}: {', '.join(twice)} is given twice. Give each {member} once.")


def _name_one(what: str, tag: str) -> str:
    return (
        f"Name a {what} of this machine by the tag {tag} when you create the guardrail, or ask the administrator for "
        "OUTCROP_GUARDRAIL_JUDGE; else leave it out."
    )
