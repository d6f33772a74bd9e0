"""A guide from needs to approaches: which are worth measuring, and why, written as a plan of a bake-off.

The ladder goes by complexity, cost and time: prompt engineering, retrieval, customization. Data that is outside the
model and live asks for tools; documents for retrieval; a style or behaviour of one's own for fine-tuning; terms and
knowledge of a field for continued pre-training, and then both in turn. What is simple and general needs a prompt alone.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from outcrop.errors import Invalid

FEW_PAIRS, MANY_PAIRS = 50, 1000
"Below the first, fine-tuning has little to learn from; from the second on it has what is usually advised."
_NUM_EXAMPLES = 3
_LIVE = (
    "Live data asks for an agent with tools, which a bake-off does not measure: give Converse a toolConfig "
    "(docs/tools.md), and let the plan find the model and the prompt."
)


class OutsideData(StrEnum):
    """The data beyond the model that an answer needs."""

    NONE = "none"
    DOCUMENTS = "documents"
    LIVE = "live"


@dataclass(frozen=True, kw_only=True)
class Needs:
    """The answers to the questions of the guide."""

    outside: OutsideData
    is_own_style: bool
    "Whether the task is complex, or asks for a style or behaviour of one's own."
    is_own_field: bool
    "Whether it has terms and knowledge that a general model lacks."


@dataclass(frozen=True, kw_only=True)
class Material:
    """The files that a bake-off could be made of."""

    questions: Path
    models: tuple[str, ...]
    scores: tuple[str, ...]
    training: Path | None = None
    "Pairs of prompt and completion."
    validation: Path | None = None
    texts: Path | None = None
    "Texts of the field, as records of continued pre-training."
    documents: tuple[Path, ...] = ()
    num_pairs: int = 0
    num_texts: int = 0


@dataclass(frozen=True, kw_only=True)
class Rung:
    """An approach that the plan measures, with the reason, as lines of TOML."""

    why: str
    lines: tuple[str, ...]


def check_material(needs: Needs, material: Material) -> None:
    """Raises Invalid with every file that the needs ask for and that was not named."""
    missing = []
    if needs.outside is OutsideData.DOCUMENTS and not material.documents:
        missing.append("--documents: answers stand in documents, so retrieval needs them. Name files or folders.")
    if needs.is_own_style and material.training is None:
        missing.append(
            "--training: a style of one's own is learned from pairs. Name a file of prompts and completions."
        )
    if needs.is_own_field and material.texts is None:
        missing.append("--texts: a field is learned from its texts. Name a file of records with input.")
    if missing:
        raise Invalid("\n".join(missing))


def told_advice(needs: Needs, material: Material) -> Iterator[str]:
    """The advice for people, a sentence each."""
    if needs.outside is OutsideData.LIVE:
        yield _LIVE
    for rung in rungs(needs, material):
        yield rung.why


def plan_text(needs: Needs, material: Material, *, folder: Path) -> str:
    """The plan as TOML that `read_plan` takes; paths are told from the plan's folder on."""
    head = [
        "# Written by `outcrop advise`. All of it is measured on the same held-out questions; change it freely.",
        *((f"# {_LIVE}",) if needs.outside is OutsideData.LIVE else ()),
        f"questions = {_path(material.questions, folder)}",
        f"models = {json.dumps(list(material.models))}",
        f"scores = {json.dumps(list(material.scores))}",
        "",
    ]
    body = [line for rung in _placed(needs, material, folder) for line in (f"# {rung.why}", *rung.lines, "")]
    return "\n".join([*head, *body])


def rungs(needs: Needs, material: Material) -> tuple[Rung, ...]:
    """The approaches worth measuring, from the simplest on."""
    return _placed(needs, material, Path())


def _placed(needs: Needs, material: Material, folder: Path) -> tuple[Rung, ...]:
    return (*_prompts(needs, material, folder), *_retrievals(needs, material, folder), *_jobs(needs, material, folder))


def _prompts(needs: Needs, material: Material, folder: Path) -> Iterator[Rung]:
    simple = needs.outside is OutsideData.NONE and not needs.is_own_style and not needs.is_own_field
    why = (
        "The task is simple and general: a prompt should do, and everything else has to be better than it."
        if simple
        else "The question alone is the first rung of the ladder: everything dearer has to be better than it."
    )
    yield Rung(why=why, lines=("[prompt.zero-shot]",))
    if material.training is not None and material.num_pairs > _NUM_EXAMPLES:
        yield Rung(
            why="Examples before the question show the form without any training; they cost tokens at each question.",
            lines=(
                "[prompt.few-shot]",
                f"examples = {_NUM_EXAMPLES}",
                f"training = {_path(material.training, folder)}",
            ),
        )


def _retrievals(needs: Needs, material: Material, folder: Path) -> Iterator[Rung]:
    if needs.outside is not OutsideData.DOCUMENTS:
        return
    yield Rung(why="Without passages: what the model knows by itself.", lines=("[retrieval.none]",))
    yield Rung(
        why="Answers stand in documents: retrieval brings the passages, is current, and leads back to its sources.",
        lines=(
            "[retrieval.documents]",
            f"documents = [{', '.join(_path(each, folder) for each in material.documents)}]",
        ),
    )


def _jobs(needs: Needs, material: Material, folder: Path) -> Iterator[Rung]:
    if not needs.is_own_style and not needs.is_own_field:
        return
    yield Rung(why="The model as it comes.", lines=("[customization.none]",))
    validation = (f"validation = {_path(material.validation, folder)}",) if material.validation is not None else ()
    pairs = () if material.training is None else (f"training = {_path(material.training, folder)}", *validation)
    if needs.is_own_style:
        yield Rung(why=_why_pairs(material), lines=("[customization.ft]", 'type = "FINE_TUNING"', *pairs))
    if needs.is_own_field:
        assert material.texts is not None, "checked before"
        yield Rung(
            why=f"Terms and knowledge of a field: pre-training goes on with its texts{_counted(material.num_texts)}.",
            lines=(
                "[customization.cpt]",
                'type = "CONTINUED_PRE_TRAINING"',
                f"training = {_path(material.texts, folder)}",
            ),
        )
    if needs.is_own_style and needs.is_own_field:
        yield Rung(
            why="Both in turn: the field first, then the form of its answers.",
            lines=("[customization.cpt-ft]", 'type = "FINE_TUNING"', 'after = "cpt"', *pairs),
        )


def _why_pairs(material: Material) -> str:
    why = f"A style or behaviour of one's own: fine-tuning learns it from pairs{_counted(material.num_pairs)}"
    if material.num_pairs < FEW_PAIRS:
        return f"{why}; these are few, so that examples in the prompt may do as well."
    if material.num_pairs < MANY_PAIRS:
        return f"{why}; a thousand and more are usually advised."
    return f"{why}."


def _counted(count: int) -> str:
    return f" ({count:,} here)" if count else ""


def _path(path: Path, folder: Path) -> str:
    """The path as TOML has it, from a folder on."""
    return json.dumps(Path(os.path.relpath(path, folder)).as_posix(), ensure_ascii=False)
