"""A plan read from TOML: every problem of the file is collected, each with its key, before anything is done."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.evaluation import measures
from outcrop.evaluation.bakeoff.plan import (
    AXES,
    PLAIN,
    BakeoffPlan,
    CostKind,
    CustomizationApproach,
    PromptApproach,
    RetrievalApproach,
)
from outcrop.evaluation.bakeoff.plan_table import PlanTable, open_table
from outcrop.evaluation.bakeoff.prompting import QUESTION

_TYPES = ("FINE_TUNING", "CONTINUED_PRE_TRAINING")
_METHOD = "outcrop.method"
_MOST_CELLS = 500


def read_plan(path: Path) -> BakeoffPlan:
    """The plan of a file. Raises Invalid with all its problems, a line each."""
    table = open_table(path)
    plan = _plan(table, path)
    if plan is None or table.problems:
        many = f"{len(table.problems)} problems" if len(table.problems) > 1 else "1 problem"
        raise Invalid("\n".join([f"{path}: {many}", *(f"  {each}" for each in table.problems)]))
    return plan


def _plan(table: PlanTable, path: Path) -> BakeoffPlan | None:
    """None where a required value is missing; the problems tell which."""
    questions = table.file("questions")
    if "questions" not in table.values:
        table.problem("questions", "is missing. Name a file of held-out questions with their references.")
    models = table.texts("models")
    if "models" not in table.values:
        table.problem("models", "is missing. List ids of base models; `outcrop models` shows what is here.")
    cost = table.choice("cost", list(CostKind))
    plan: dict[str, Any] = {
        "name": table.name("name", _name_of(path)),
        "scores": _scores(table),
        "most_questions": table.number("most_questions", least=1, most=1_000_000),
        "max_tokens": table.number("max_tokens", least=1, most=100_000),
        "seed": table.number("seed", least=0, most=2**31 - 1),
        "threads": table.number("threads", least=1, most=1024),
        "horizon": table.number("horizon", least=1, most=10**12),
        "cost": CostKind(cost) if cost else None,
        "prices": table.file("prices"),
    }
    prompts = {name: _prompt(name, each) for name, each in table.tables("prompt").items()}
    retrievals = {name: _retrieval(name, each) for name, each in table.tables("retrieval").items()}
    customizations = {name: _customization(name, each) for name, each in table.tables("customization").items()}
    _check_chains(table, customizations)
    prompts = prompts or {PLAIN: PromptApproach(name=PLAIN)}
    retrievals = retrievals or {PLAIN: RetrievalApproach(name=PLAIN)}
    customizations = customizations or {PLAIN: CustomizationApproach(name=PLAIN)}
    leave_out = _left_out(
        table, {"prompt": prompts, "retrieval": retrievals, "customization": customizations, "model": models}
    )
    table.finish()
    if questions is None or not models or table.problems:
        return None
    given = {key: value for key, value in plan.items() if value is not None}
    made = BakeoffPlan(
        questions=questions,
        models=models,
        prompts=prompts,
        retrievals=retrievals,
        customizations=customizations,
        leave_out=leave_out,
        **given,
    )
    _check_cells(table, made)
    return made


def _name_of(path: Path) -> str:
    """The file's name as a name of a plan."""
    return "-".join("".join(each if each.isalnum() else " " for each in path.stem.lower()).split())[:40].strip("-")


def _scores(table: PlanTable) -> tuple[str, ...]:
    scores = table.texts("scores")
    if "scores" not in table.values:
        table.problem("scores", f"is missing. List scores, the decisive one first: {', '.join(measures.known())}.")
    for score in scores:
        try:
            measures.find([score])
        except Invalid as problem:
            table.problem("scores", problem.message)
    return scores


def _prompt(name: str, table: PlanTable) -> PromptApproach:
    template = table.text("template")
    if template is not None and QUESTION not in template:
        table.problem("template", f"{QUESTION} is not in it, so no question would be asked. Put it where it belongs.")
    num_examples, training = table.number("examples", least=0, most=100), table.file("training")
    if num_examples and "training" not in table.values:
        table.problem("training", "is missing. Name the file of training records that the examples are drawn from.")
    if training is not None and not num_examples:
        table.problem("examples", "is missing. Say how many examples to draw from the training records.")
    system = table.text("system")
    table.finish()
    return PromptApproach(
        name=name,
        template=template or QUESTION,
        system=system,
        num_examples=num_examples or 0,
        training=training,
    )


def _retrieval(name: str, table: PlanTable) -> RetrievalApproach:
    knowledge_base, documents = table.text("knowledge_base"), table.files("documents")
    results, encoder = table.number("results", least=1, most=100), table.text("encoder")
    chunk_tokens = table.number("chunk_tokens", least=20, most=8192)
    if knowledge_base and documents:
        table.problem("documents", "a knowledge base that is there has its own. Leave one of the two out.")
    if not knowledge_base and "documents" not in table.values and table.values:
        table.problem("documents", "is missing, and so is knowledge_base. Name one of them.")
    if knowledge_base:
        for key in ("chunk_tokens", "encoder"):
            if key in table.values:
                table.problem(key, "a knowledge base that is there has its own. Leave it out, or name documents.")
    table.finish()
    return RetrievalApproach(
        name=name,
        knowledge_base=knowledge_base,
        documents=documents,
        num_results=results or 5,
        chunk_tokens=chunk_tokens,
        encoder=encoder,
    )


def _customization(name: str, table: PlanTable) -> CustomizationApproach:
    kind, training, validation = table.choice("type", _TYPES), table.file("training"), table.file("validation")
    after, method = table.text("after"), table.text("method")
    if table.values:
        if "type" not in table.values:
            table.problem("type", f"is missing. Write one of {', '.join(_TYPES)}.")
        if "training" not in table.values:
            table.problem("training", "is missing. Name the file of training records.")
    hyper = _hyperparameters(table.table("hyperparameters"))
    if method is not None:
        if _METHOD in hyper:
            table.problem("method", f"hyperparameters name {_METHOD}, too. Leave one of the two out.")
        hyper[_METHOD] = method
    table.finish()
    return CustomizationApproach(
        name=name,
        type=kind,
        training=training,
        validation=validation,
        after=after,
        hyperparameters=tuple(sorted(hyper.items())),
    )


def _hyperparameters(table: PlanTable | None) -> dict[str, str]:
    """Values as a job takes them, as strings; a number may be written as one."""
    found = {}
    for key, value in (table.values if table is not None else {}).items():
        assert table is not None
        if isinstance(value, bool):
            found[key] = str(value).lower()
        elif isinstance(value, str | int | float):
            found[key] = str(value)
        elif isinstance(value, dict):
            table.problem(key, f'a table. Put names with a dot into quotation marks: "{key}.{next(iter(value), "")}".')
        else:
            table.problem(key, "takes a string or a number.")
    return found


def _check_chains(table: PlanTable, customizations: Mapping[str, CustomizationApproach]) -> None:
    """Note approaches that go on from one that is not there, or from themselves."""
    for name, approach in customizations.items():
        seen, after = [name], approach.after
        while after is not None:
            at = f"customization.{name}.after"
            if after not in customizations:
                table.problem(at, f"{after!r} is no customization of the plan. Name one of it.")
                break
            if after in seen:
                table.problem(at, f"{' -> '.join([*seen, after])} goes round in a circle. Begin with a base model.")
                break
            seen.append(after)
            after = customizations[after].after


def _left_out(table: PlanTable, axes: Mapping[str, Collection[str]]) -> tuple[Mapping[str, str], ...]:
    patterns = []
    for row in table.rows("leave_out"):
        pattern = {axis: value for axis in AXES if (value := row.choice(axis, list(axes[axis]))) is not None}
        row.finish()
        if not row.values:
            row.problem("prompt", "an empty table leaves everything out. Name an approach.")
        patterns.append(pattern)
    return tuple(patterns)


def _check_cells(table: PlanTable, plan: BakeoffPlan) -> None:
    num_cells = sum(1 for _ in plan.cells())
    if not num_cells:
        table.problem("leave_out", "no cell is left. Leave out less.")
    if num_cells > _MOST_CELLS:
        table.problem("leave_out", f"{num_cells} cells are more than {_MOST_CELLS}. Leave some out.")
