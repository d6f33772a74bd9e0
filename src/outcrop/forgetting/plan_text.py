"""The plan of a forgetting as text for a person who is asked, and as JSON."""

from collections.abc import Iterator
from typing import Any

from outcrop.forgetting.plan import ForgettingPlan, Retraining


def plan_text(plan: ForgettingPlan) -> str:
    """The plan as a person reads it before agreeing."""
    lines: list[str] = []
    for step in plan.steps:
        lines += [*_step_lines(step, is_asked=step.member is plan.member), ""]
    names = " and then ".join(step.member.name for step in plan.steps if step.done is None)
    lines.append(f"{names}: trained again from the same start. Nothing else changes: seed, hyperparameters, the order")
    lines.append("of what is left, the form of the prompts and their day.")
    lines += [
        f"{each.name}: no job here has trained it; whether it learned them is not known." for each in plan.unknown
    ]
    lines += [
        f"{each.name} was made from it and goes on knowing them, until it is trained again." for each in plan.children
    ]
    lines += [f"{each.name} serves it ({each.status}); --swap hands it over." for each in plan.serving]
    return "\n".join(lines)


def plan_json(plan: ForgettingPlan) -> dict[str, Any]:
    """The plan for programs."""
    return {
        "model": plan.member.name,
        "steps": [
            {
                "model": step.member.name,
                "records": sum(step.forgotten),
                "distinct": step.distinct,
                "left": list(step.left),
                "first": [vars(line) for line in step.shown],
                "done": None if step.done is None else step.done.name,
            }
            for step in plan.steps
        ],
        "unknown": [each.name for each in plan.unknown],
        "made_from_it": [each.name for each in plan.children],
        "deployments": [each.name for each in plan.serving],
    }


def _step_lines(step: Retraining, *, is_asked: bool) -> Iterator[str]:
    total = sum(step.forgotten)
    if not total:
        yield f"{step.member.name} learned none of them, but comes from a model that did."
        return
    copies = f" ({step.distinct:,} different)" if step.distinct < total else ""
    whose = "" if is_asked else ", which it came from,"
    if step.done is not None:
        yield f"{step.member.name}{whose} learned {total:,} of them{copies}; {step.done.name} is it without them."
        return
    some = "1 record" if total == 1 else f"{total:,} records"
    yield f"{step.member.name}{whose} forgets {some}{copies} of {total + sum(step.left):,}:"
    for line in step.shown:
        yield f"  {line.dataset}:{line.line}  {line.text}"
    if step.distinct > len(step.shown):
        yield f"  … and {step.distinct - len(step.shown):,} more"
