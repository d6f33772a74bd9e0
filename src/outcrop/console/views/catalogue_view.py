"""The catalogue as cards: each base model, its size and licence, and what this machine can do with it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from outcrop.console.language import said, texts_of
from outcrop.console.views.amounts import model_id, size

HERE, HUB, REMOTE, GONE, NAME = "HERE", "HUB", "REMOTE", "GONE", "NAME"
"States of an entry, as `GET /outcrop/catalogue` tells them."
_ORDER = (HERE, HUB, REMOTE, GONE, NAME)
_GIB = 2**30
_MAKES = {"text": "models.text", "embedding": "models.vectors", "reranking": "models.ranking"}
_PLAIN_METHOD = "lora"


class Fitting(NamedTuple):
    """A use of a model on this machine: whether it fits, and the sentence that says why or why not."""

    key: str
    "Of its name."
    fits: bool
    sentence: str


class CatalogueCard(NamedTuple):
    """A base model of the catalogue."""

    id: str
    name: str
    provider: str
    makes: str
    "What it makes, as the key of a text."
    customizations: Sequence[str]
    state: str
    facts: list[tuple[str, str]]
    "Keys of texts with what is known."
    fittings: list[Fitting]
    note: str
    "What stands between it and its use; empty where nothing does."
    is_pulled: bool
    "Whether it is being pulled just now."

    @property
    def is_here(self) -> bool:
        """Whether it can be used now, as far as nothing else is missing."""
        return self.state in (HERE, REMOTE)

    @property
    def can_serve(self) -> bool:
        return self.state == REMOTE or (self.state == HERE and self._may("models.serving"))

    @property
    def can_train(self) -> bool:
        return self.state == HERE and bool(self.customizations) and self._may("models.training")

    def _may(self, key: str) -> bool:
        """Whether nothing is known that stands against it."""
        return all(each.fits for each in self.fittings if each.key == key)


def catalogue_cards(told: Mapping[str, Any], pulling: AbstractSet[str], language: str) -> list[CatalogueCard]:
    """The cards: what is here first, what is customized before what is not, and what fits before what does not."""
    cards = [_card(each, told, pulling, language) for each in told["models"]]
    return sorted(
        cards,
        key=lambda card: (
            _ORDER.index(card.state),
            not card.customizations,
            not all(each.fits for each in card.fittings),
        ),
    )


def _card(
    told: Mapping[str, Any], machine: Mapping[str, Any], pulling: AbstractSet[str], language: str
) -> CatalogueCard:
    return CatalogueCard(
        id=model_id(told["id"]),
        name=told["name"],
        provider=told["provider"],
        makes=_MAKES[told["task"]],
        customizations=told["customizations"],
        state=told["state"],
        facts=_facts(told, language),
        fittings=_fittings(told, machine, language),
        note=_note(told, machine, language),
        is_pulled=not pulling.isdisjoint((told["id"], model_id(told["id"]))),
    )


def _facts(told: Mapping[str, Any], language: str) -> list[tuple[str, str]]:
    sizes = []
    is_here = told["state"] == HERE
    if told["parameters"]:
        count = _unbroken(said(language, "models.parameters", n=_count(told["parameters"])))
        sizes.append(count if is_here else said(language, "models.about", what=count))
    if told["diskBytes"]:
        sizes.append(said(language, "models.on_disk", n=_unbroken(size(told["diskBytes"]))))
    elif told["pullBytes"] and told["state"] == HUB:
        sizes.append(said(language, "models.to_pull", n=_unbroken(size(told["pullBytes"]))))
    facts = [("models.size", " · ".join(sizes))] if sizes else []
    facts.append(("models.licence", told["licence"] or said(language, "models.no_licence")))
    facts.append(("models.languages", _languages(told["languages"], language)))
    if told["contextLength"]:
        facts.append(("models.context", said(language, "models.tokens", n=f"{told['contextLength']:,}")))
    return facts


def _languages(codes: Sequence[str], language: str) -> str:
    if not codes:
        return said(language, "models.no_languages")
    words = texts_of(language)
    return said(language, "models.comma").join(words.get(f"language.{code}", code) for code in codes)


def _fittings(told: Mapping[str, Any], machine: Mapping[str, Any], language: str) -> list[Fitting]:
    found = []
    if told["serve"] is not None:
        found.append(_serving(told["serve"], machine["budgetBytes"], language))
    if told["train"]:
        found.append(_training(told["train"], machine["trainingBytes"], language))
    return found


def _serving(serve: Mapping[str, Any], most: int, language: str) -> Fitting:
    key = "models.serving_fits" if serve["fits"] else "models.serving_too_large"
    return Fitting("models.serving", serve["fits"], said(language, key, need=gib(serve["bytes"]), most=gib(most)))


def _training(methods: Sequence[Mapping[str, Any]], most: int, language: str) -> Fitting:
    """The sentence on the method that needs least of those that suit everything, and on what would be too much."""
    plain = next(each for each in methods if each["method"] == _PLAIN_METHOD)
    if not plain["fits"]:
        sentence = said(language, "models.training_too_large", need=gib(plain["bytes"]), most=gib(most))
        return Fitting("models.training", fits=False, sentence=sentence)
    sentence = said(language, "models.training_fits", need=gib(plain["bytes"]), most=gib(most))
    left_out = [each for each in methods if not each["fits"] and not each["why"]]
    for each in left_out:
        sentence += " " + said(language, "models.but_not", method=each["method"], need=gib(each["bytes"]))
    return Fitting("models.training", fits=True, sentence=sentence)


def _note(told: Mapping[str, Any], machine: Mapping[str, Any], language: str) -> str:
    if told["refused"]:
        return said(language, "models.refused_by_probe", why=told["refused"])
    if told["state"] == HUB and told["pullBytes"] > machine["diskFreeBytes"]:
        free = size(machine["diskFreeBytes"])
        return said(language, "models.no_room", n=size(told["pullBytes"]), free=free)
    if told["state"] == REMOTE:
        return said(language, "models.remote", host=told["host"])
    if told["state"] == GONE:
        return said(language, "models.gone")
    if told["standsFor"]:
        return said(language, "models.stands_for", model=told["standsFor"])
    return ""


def method_problems(told: Mapping[str, Any], language: str) -> dict[str, str]:
    """Reasons why methods of training cannot be chosen for an entry, by the names of the methods."""
    (entry,), found = told["models"], {}
    for each in entry["train"]:
        if not each["fits"]:
            need, most = gib(each["bytes"]), gib(told["trainingBytes"])
            found[each["method"]] = each["why"] or said(language, "models.training_too_large", need=need, most=most)
    return found


def gib(num_bytes: float) -> str:
    """Memory as it is counted."""
    value = num_bytes / _GIB
    told = f"{value:,.0f} GiB" if value >= 100 else f"{value:.1f} GiB" if value >= 1 else f"{value:.2f} GiB"
    return _unbroken(told)


def _unbroken(text: str) -> str:
    """A number that stays with its unit where a line ends."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def _count(number: int) -> str:
    for letter, length in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= length:
            value = number / length
            return f"{value:.3g}{letter}"
    return str(number)
