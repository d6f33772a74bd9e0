"""The catalogue's cards, the wizard's fields and what they say of their values."""

from collections.abc import Mapping
from typing import Any

import pytest

from outcrop.console.views.catalogue_view import catalogue_cards, gib, method_problems
from outcrop.console.views.hyper_effects import effects_of
from outcrop.console.views.job_request import FIELDS, fields_of, read_form

GIB = 2**30
STARTER: dict[str, Any] = {
    "id": "outcrop.starter-v1",
    "name": "Starter",
    "provider": "Outcrop",
    "task": "text",
    "contextLength": 2048,
    "licence": "CC BY-SA 4.0",
    "languages": ["en", "ja"],
    "customizations": ["FINE_TUNING"],
    "state": "HERE",
    "standsFor": "",
    "repository": "",
    "host": "",
    "pullBytes": 0,
    "refused": "",
    "parameters": 7_475_456,
    "diskBytes": 15_000_000,
    "serve": {"bytes": GIB // 2, "fits": True},
    "train": [
        {"method": "lora", "bytes": GIB, "fits": True, "why": ""},
        {"method": "oft", "bytes": GIB, "fits": False, "why": "it keeps its weights transposed"},
        {"method": "full", "bytes": 7 * GIB, "fits": False, "why": ""},
    ],
}


def plain(text: str) -> str:
    """The text with ordinary spaces, as it is read."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


def machine(*models: Mapping[str, Any]) -> dict[str, Any]:
    return {"budgetBytes": 4 * GIB, "trainingBytes": 3 * GIB, "diskFreeBytes": 10**9, "models": list(models)}


def test_a_card_tells_size_licence_languages_and_what_fits() -> None:
    (card,) = catalogue_cards(machine(STARTER), set(), "en")
    assert {key: plain(text) for key, text in card.facts} == {
        "models.size": "7.48M parameters · 15.0 MB on disk",
        "models.licence": "CC BY-SA 4.0",
        "models.languages": "English, Japanese",
        "models.context": "2,048 tokens",
    }
    assert [(each.key, each.fits) for each in card.fittings] == [("models.serving", True), ("models.training", True)]
    assert plain(card.fittings[1].sentence).endswith("Not by full, which takes 7.0 GiB.")
    assert (card.can_serve, card.can_train, card.note) == (True, True, "")


def test_what_does_not_fit_is_said_with_both_numbers_and_cannot_be_chosen() -> None:
    large = STARTER | {
        "serve": {"bytes": 282 * GIB, "fits": False},
        "train": [{"method": "lora", "bytes": 263 * GIB, "fits": False, "why": ""}],
    }
    (card,) = catalogue_cards(machine(large), set(), "ja")
    assert (card.can_serve, card.can_train) == (False, False)
    assert all("GiB" in each.sentence and not each.fits for each in card.fittings)
    assert "282 GiB" in plain(card.fittings[0].sentence)
    assert "3.0 GiB" in plain(card.fittings[1].sentence)


def test_a_model_that_waits_for_a_pull_tells_about_how_much_and_whether_there_is_room() -> None:
    away = STARTER | {"state": "HUB", "parameters": 752_000_000, "diskBytes": 0, "pullBytes": 1_510_000_000}
    (card,) = catalogue_cards(machine(away), {"outcrop.starter-v1"}, "en")
    assert plain(dict(card.facts)["models.size"]) == "about 752M parameters · 1.5 GB to pull"
    assert card.note == "A pull takes 1.5 GB, and 1.0 GB are free on the disk."
    assert (card.can_serve, card.can_train, card.is_pulled) == (False, False, True)


def test_what_is_not_on_record_is_said() -> None:
    (card,) = catalogue_cards(machine(STARTER | {"licence": "", "languages": []}), set(), "en")
    assert dict(card.facts)["models.licence"].startswith("None on record")
    assert dict(card.facts)["models.languages"] == "None on record"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"state": "REMOTE", "host": "a.example"}, "It answers at a.example"),
        ({"state": "GONE"}, "Its folder is gone"),
        ({"standsFor": "local.tiny-v1"}, "local.tiny-v1 answers in its place"),
        ({"refused": "no attention"}, "cannot be run here: no attention"),
    ],
)
def test_what_stands_between_a_model_and_its_use_is_said(more: dict[str, Any], said: str) -> None:
    (card,) = catalogue_cards(machine(STARTER | more), set(), "en")
    assert said in card.note


def test_what_is_here_comes_first_and_what_fits_before_what_does_not() -> None:
    away = STARTER | {"state": "HUB"}
    large = {"serve": {"bytes": 9 * GIB, "fits": False}}
    told = [
        STARTER | {"id": "name", "state": "NAME"}, away | {"id": "large"} | large, away | {"id": "small"},
        STARTER | {"id": "vectors", "customizations": []}, STARTER,
    ]  # fmt: skip
    assert [card.id for card in catalogue_cards(machine(*told), set(), "en")] == [
        "outcrop.starter-v1", "vectors", "small", "large", "name",
    ]  # fmt: skip


def test_a_method_that_cannot_be_chosen_says_why() -> None:
    problems = method_problems(machine(STARTER), "en")
    assert problems["oft"] == "it keeps its weights transposed"
    assert plain(problems["full"]) == "It takes at least 7.0 GiB and its rows, and 3.0 GiB can be had here."
    assert "lora" not in problems


def test_a_family_without_a_hyperparameter_is_asked_for_ours() -> None:
    def number(default: str) -> dict[str, Any]:
        return {"default": default, "range": "0 to 9", "words": [], "least": 0.0, "most": 90_000.0}

    ours = ("outcrop.learningRate", "outcrop.batchSize", "outcrop.rank")
    told = {
        "hyperparameters": {name: number("recommended") for name in ours}
        | {"epochCount": number("5"), "learningRate": number("0.00001")}
        | {"outcrop.method": {"default": "recommended", "range": "lora, full", "words": ["lora", "full"]}},
        "used": {"epochCount": "5", "outcrop.learningRate": "0.003", "outcrop.method": "lora", "batchSize": "1"},
        "relativeRate": True,
    }
    fields = {field.id: field for field in fields_of(told, {"full": "too large"})}
    assert fields.keys() == {"epochCount", "batchSize", "learningRate", "outcrop_method", "outcrop_rank"}
    assert fields["learningRate"].name == "outcrop.learningRate"  # the family means a multiple by its own
    assert (fields["batchSize"].name, fields["batchSize"].recommended) == ("outcrop.batchSize", "1")
    assert fields["outcrop_method"].problems == {"full": "too large"}
    assert (fields["epochCount"].range, fields["outcrop_method"].range) == ("0 – 90,000", "")
    assert fields_of(None, {}) == list(FIELDS)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_field_says_the_effect_of_its_value(language: str) -> None:
    form = read_form({"epochCount": "4", "outcrop.evalPercentage": "10", "learningRate": "0.001"})
    fields = [field._replace(recommended=field.example) for field in FIELDS]
    forecast = {
        "epochs": 4, "steps": 80, "seconds": 240.0, "memory_bytes": GIB, "method": "lora",
        "price": {"amount": 0.4, "currency": "USD"},
    }  # fmt: skip
    told = effects_of(fields, form, {"forecast": forecast, "files": [{"num_records": 300}]}, language)
    assert told.keys() == {field.id for field in FIELDS}
    assert all(part in told["epochCount"] for part in ("80", "20", "0.40 USD"))
    assert all(part in told["outcrop_evalPercentage"] for part in ("30", "300"))
    assert "0.001" in told["learningRate"]
    assert "1.0 GiB" in plain(told["outcrop_method"])
    assert effects_of(fields, form, {"forecast": None, "files": []}, language) == {}


def test_memory_has_the_digits_that_count() -> None:
    assert [plain(gib(GIB * value)) for value in (0.42, 3.25, 282.4)] == ["0.42 GiB", "3.2 GiB", "282 GiB"]
