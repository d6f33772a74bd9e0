"""All scores by name, as a command line, a plan or a request spells them: `rouge_l`, `accuracy:yes,no`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from outcrop.errors import Invalid
from outcrop.evaluation.scores import (
    copying,
    json_answers,
    matching,
    own_function,
    phrases,
    rouge,
    similarity,
    surface,
    translation,
)
from outcrop.evaluation.scores.scoring import TextScore


@dataclass(frozen=True, kw_only=True)
class ScoreMaterials:
    """The things that some scores need and a name cannot carry."""

    encode: similarity.Encode | None = None
    "For `embedding_similarity`."
    training: copying.RunIndex | None = None
    "For `copied_from_training`."
    limits: own_function.OwnFunctionLimits | None = None
    "For `function`."


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A row of the table of scores: the name, the argument after a colon, and how the score is made."""

    name: str
    argument: str = ""
    "What stands behind the colon; empty for a score without one."
    is_optional: bool = False
    make: Callable[[str, ScoreMaterials], TextScore]


def _plain(score: TextScore) -> ScoreRow:
    return ScoreRow(name=score.name, make=lambda _argument, _materials: score)


def _rouge(order: str) -> ScoreRow:
    return ScoreRow(
        name=f"rouge_{order}",
        argument="words|characters",
        is_optional=True,
        make=lambda unit, _materials: rouge.rouge(order, unit),
    )


def _embedding_similarity(_argument: str, materials: ScoreMaterials) -> TextScore:
    if materials.encode is None:
        raise Invalid("embedding_similarity needs an encoder. Name an embedding model, or leave the score out.")
    return similarity.embedding_similarity(materials.encode)


def _copied_from_training(_argument: str, materials: ScoreMaterials) -> TextScore:
    if materials.training is None:
        raise Invalid("copied_from_training needs the training texts. Name their file, or leave the score out.")
    return copying.copied_from_training(materials.training)


TABLE: Mapping[str, ScoreRow] = {
    row.name: row
    for row in (
        _plain(matching.EXACT_MATCH),
        _plain(matching.TOKEN_F1),
        ScoreRow(
            name="accuracy",
            argument="LABEL,LABEL,…",
            is_optional=True,
            make=lambda labels, _materials: matching.accuracy([each.strip() for each in labels.split(",") if each]),
        ),
        _plain(matching.CONTAINS),
        ScoreRow(
            name="regular_expression",
            argument="PATTERN",
            make=lambda pattern, _materials: matching.regular_expression(pattern),
        ),
        _rouge("1"),
        _rouge("2"),
        _rouge("l"),
        _plain(translation.BLEU),
        _plain(translation.CHRF),
        ScoreRow(name="embedding_similarity", make=_embedding_similarity),
        _plain(json_answers.JSON_VALID),
        ScoreRow(
            name="json_schema",
            argument="FILE",
            make=lambda path, _materials: json_answers.json_schema(json_answers.read_schema(Path(path)), path),
        ),
        ScoreRow(
            name="function",
            argument="FILE.py:FUNCTION or MODULE:FUNCTION",
            make=lambda place, materials: own_function.own_function(place, materials.limits),
        ),
        _plain(surface.LENGTH_CHARACTERS),
        _plain(surface.LENGTH_TOKENS),
        _plain(surface.LANGUAGE),
        _plain(surface.REPETITION),
        _plain(copying.COPIED_FROM_PROMPT),
        ScoreRow(name="copied_from_training", make=_copied_from_training),
        _plain(phrases.REFUSAL),
        _plain(phrases.TOXICITY),
    )
}


def find(spelling: str, materials: ScoreMaterials | None = None) -> TextScore:
    """The score of a spelling, `NAME` or `NAME:ARGUMENT`.

    Files and functions are read as they are named: for whoever sits at this machine, not for the door's requests.
    Raises Invalid for a name that is not there, or a score that lacks what it needs.
    """
    name, _, argument = spelling.partition(":")
    row = TABLE.get(name)
    if row is None:
        raise Invalid(f"{spelling!r} is no score. There are: {', '.join(TABLE)}.")
    if argument and not row.argument:
        raise Invalid(f"{spelling!r}: {name} takes no argument. Write {name}.")
    if not argument and row.argument and not row.is_optional:
        raise Invalid(f"{spelling!r}: {name} needs an argument. Write {name}:{row.argument}.")
    return row.make(argument, materials or ScoreMaterials())
