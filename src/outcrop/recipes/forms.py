"""The recipes as forms: which sources each reads, and the options that it may be given beside them.

It is what `outcrop data RECIPE` offers, as a table for who asks over the API or on a page; the command itself holds the
defaults, and a test holds the two together.
"""

from collections.abc import Sequence
from typing import NamedTuple

_SCORES = (".musicxml", ".xml", ".mxl", ".abc")
_DOCUMENTS = (".txt", ".md", ".html", ".htm", ".docx", ".epub", ".pdf", ".jsonl", ".bz2", ".xml")
_ROWS = (".json", ".jsonl", ".csv", ".parquet", ".gz", ".txt", ".tsv")
_LOGS = (".json", ".jsonl", ".gz")


class RecipeField(NamedTuple):
    """An option of a recipe, by its name on the command line without the dashes."""

    name: str
    form: str = "text"
    "How it is asked for: `text`, `number`, `flag`, `choice`, `file` (an object), `base` (a model of the catalogue)."
    choices: Sequence[str] = ()
    needed: bool = False


class RecipeForm(NamedTuple):
    """A recipe: the endings of the files it reads, and its options."""

    name: str
    suffixes: Sequence[str]
    fields: Sequence[RecipeField] = ()


COMMON = (
    RecipeField("train"),
    RecipeField("validation"),
    RecipeField("test"),
    RecipeField("seed", "number"),
    RecipeField("most-characters", "number"),
    RecipeField("fits", "base"),
    RecipeField("prompt"),
    RecipeField("completion"),
    RecipeField("licence"),
)
"Those of every recipe."
_CHUNK = (RecipeField("base", "base"), RecipeField("tokens", "number"))
_ALL_KEYS = RecipeField("all-keys", "flag")
RECIPES = (
    RecipeForm("dolly", _ROWS),
    RecipeForm("dialogue", _ROWS, (RecipeField("first", "number"),)),
    RecipeForm("verse", _ROWS, (RecipeField("any-morae", "flag"),)),
    RecipeForm(
        "feedback",
        _LOGS,
        (
            RecipeField("ratings", "file"),
            RecipeField("least-rating", "number"),
            RecipeField("metadata"),
            RecipeField("any-metadata", "flag"),
            RecipeField("model"),
            RecipeField("conversations", "flag"),
        ),
    ),
    RecipeForm(
        "musicxml",
        _SCORES,
        (
            RecipeField("form", "choice", ("abc", "article")),
            RecipeField("chords", "choice", ("both", "with", "without")),
            _ALL_KEYS,
        ),
    ),
    RecipeForm(
        "infill",
        _SCORES,
        (RecipeField("window", "number"), RecipeField("form", "choice", ("article", "variant")), _ALL_KEYS),
    ),
    RecipeForm("text", _DOCUMENTS, (*_CHUNK, RecipeField("overlap", "number"))),
    RecipeForm("pdf", (".pdf",), (*_CHUNK, RecipeField("overlap", "number"))),
    RecipeForm("rules", _DOCUMENTS, (RecipeField("questions", "file"), *_CHUNK)),
    RecipeForm(
        "grounded",
        _ROWS,
        (RecipeField("knowledge-base", needed=True), RecipeField("passages", "number")),
    ),
)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
