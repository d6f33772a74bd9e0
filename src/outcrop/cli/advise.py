"""`outcrop advise`: the questions of the decision guide, and a plan that measures what it advises."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from outcrop.errors import Invalid, MachineTrouble
from outcrop.evaluation.bakeoff.advice import Material, Needs, OutsideData, check_material, plan_text, told_advice
from outcrop.evaluation.bakeoff.plan_reading import read_plan
from outcrop.evaluation.questions import read_file

_OUTSIDE = {
    "1": (OutsideData.NONE, "no: what a general model knows is enough"),
    "2": (OutsideData.DOCUMENTS, "yes, and it stands in documents"),
    "3": (OutsideData.LIVE, "yes, and it is live: prices, orders, the weather"),
}
_STARTER = "outcrop.starter-v1"
YesNo = Literal["yes", "no"]


def advise(
    plan: Annotated[Path, Parameter(help="The plan to write; `outcrop bakeoff` carries it out.")],
    *,
    questions: Annotated[Path | None, Parameter(help="Held-out questions with their references.")] = None,
    outside: Annotated[
        Literal["none", "documents", "live"] | None, Parameter(help="Data from outside that an answer needs.")
    ] = None,
    style: Annotated[YesNo | None, Parameter(help="Whether the task is complex, or has a style of its own.")] = None,
    terms: Annotated[YesNo | None, Parameter(help="Whether it has terms and knowledge of its own field.")] = None,
    training: Annotated[Path | None, Parameter(help="Pairs of prompt and completion.")] = None,
    validation: Annotated[Path | None, Parameter(help="Further pairs, by which the best weights are kept.")] = None,
    texts: Annotated[Path | None, Parameter(help="Texts of the field, as records with input.")] = None,
    documents: Annotated[
        list[Path] | None, Parameter(help="Files or folders to retrieve from; may be repeated.")
    ] = None,
    model: Annotated[list[str] | None, Parameter(help="A base model; may be repeated.")] = None,
    score: Annotated[list[str] | None, Parameter(help="A score, the decisive one first; may be repeated.")] = None,
) -> int:
    """Ask what the task needs, and write PLAN, a bake-off of the approaches that come into question, saying why.

    In a terminal, what is not given as an option is asked.
    """
    if plan.exists():
        raise Invalid(f"{plan}: is there already. Name another file, or remove it.")
    ask = _Interview(missing=[])
    needs = Needs(
        outside=OutsideData(outside) if outside else ask.outside(),
        is_own_style=ask.yes("--style", style, "Is the task complex, or has it a style or behaviour of its own?"),
        is_own_field=ask.yes("--terms", terms, "Has it terms and knowledge that a general model lacks?"),
    )
    questions = ask.file("--questions", questions, "Held-out questions with references (a file)")
    if needs.outside is OutsideData.DOCUMENTS and not documents:
        found = ask.file("--documents", None, "Documents that answers stand in (a file or folder)")
        documents = [found] if found is not None else []
    if needs.is_own_style:
        training = ask.file("--training", training, "Pairs of prompt and completion (a file)")
    if needs.is_own_field:
        texts = ask.file("--texts", texts, "Texts of the field, as records with input (a file)")
    ask.finish()
    assert questions is not None, "asked for, or missing"
    material = Material(
        questions=questions,
        models=tuple(model or (_STARTER,)),
        scores=tuple(score or ("token_f1", "exact_match")),
        training=training,
        validation=validation,
        texts=texts,
        documents=tuple(documents or ()),
        num_pairs=_num_records(training),
        num_texts=_num_records(texts),
    )
    check_material(needs, material)
    _write(plan, plan_text(needs, material, folder=plan.parent))
    read_plan(plan)
    for line in told_advice(needs, material):
        print(f"* {line}")
    print(f"\nThe plan is {plan}. Carry it out: outcrop bakeoff {plan}")
    return 0


class _Interview:
    """Asks a person at a terminal; where there is none, what is not given is missing."""

    def __init__(self, missing: list[str]) -> None:
        self._missing = missing

    def outside(self) -> OutsideData:
        asked = "Does an answer need data from outside the model?"
        lines = [f"  {key}  {told}" for key, (_, told) in _OUTSIDE.items()]
        given = self._of("--outside", "\n".join([asked, *lines, "1, 2 or 3: "]), lambda said: said in _OUTSIDE)
        return _OUTSIDE[given or "1"][0]

    def yes(self, option: str, given: YesNo | None, asked: str) -> bool:
        if given is not None:
            return given == "yes"
        said = self._of(option, f"{asked} yes or no: ", lambda said: said in ("yes", "no", "y", "n"))
        return said is not None and said.startswith("y")

    def file(self, option: str, given: Path | None, asked: str) -> Path | None:
        if given is not None:
            return given
        said = self._of(option, f"{asked}: ", lambda said: Path(said).expanduser().exists())
        return None if said is None else Path(said).expanduser()

    def finish(self) -> None:
        """Raises Invalid with every option that is missing."""
        if self._missing:
            raise Invalid(f"advise: nobody is there to ask. Give {', '.join(self._missing)}.")

    def _of(self, option: str, asked: str, fits: Callable[[str], bool]) -> str | None:
        if not sys.stdin.isatty():
            self._missing.append(option)
            return None
        while not fits(said := input(asked).strip().strip("'\"")):
            print("Not that; once more.")
        return said


def _num_records(path: Path | None) -> int:
    return 0 if path is None else len(read_file(path))


def _write(place: Path, text: str) -> None:
    try:
        place.write_text(text, "utf-8")
    except OSError as error:
        raise MachineTrouble(
            f"{place}: cannot be written ({error.strerror}). Name a file in a folder that is there."
        ) from error
