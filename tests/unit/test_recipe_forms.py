"""The recipes as forms are those of the command: the same recipes, options and choices, each with its texts."""

from typing import Any, get_args

import pytest

from outcrop.cli.recipes import app
from outcrop.console.language import LANGUAGES, texts_of
from outcrop.recipes import forms
from outcrop.recipes.forms import RecipeForm

_PLACES = {"out", "home", "sources"}
_NOT_ASKED = {"rules": {"no-passages", "passages"}}
"Options whose other end is not asked for in a form."


def options_of(recipe: str) -> dict[str, Any]:
    """The options of the command by their names, each with its type."""
    found = {}
    for argument in app[recipe].assemble_argument_collection():
        name = argument.name.lstrip("-")
        if name != "*" and name.lower() not in _PLACES:  # which holds those that follow it
            found[name] = argument.hint
    return found


def test_every_recipe_of_the_command_is_a_form() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert set(forms.BY_NAME) == commands


@pytest.mark.parametrize("recipe", forms.RECIPES, ids=lambda recipe: recipe.name)
def test_a_form_asks_for_the_options_of_its_command(recipe: RecipeForm) -> None:
    options = options_of(recipe.name)
    asked = {field.name: field for field in (*recipe.fields, *forms.COMMON)}
    assert set(asked) == {name for name in options if name not in _NOT_ASKED.get(recipe.name, set())}
    for name, field in asked.items():
        if field.form == "choice":
            assert get_args(options[name]) == tuple(field.choices)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_recipe_and_option_has_its_texts(language: str) -> None:
    names = {field.name for recipe in forms.RECIPES for field in (*recipe.fields, *forms.COMMON)}
    wanted = {f"recipe.{recipe.name}.{part}" for recipe in forms.RECIPES for part in ("name", "means")}
    wanted |= {f"recipe_field.{name}.{part}" for name in names for part in ("name", "means")}
    assert wanted - texts_of(language).keys() == set()
