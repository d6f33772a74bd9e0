"""Definitions of pipelines: JSON of version 2020-12-01, checked whole, and read into parameters and steps.

What is not built is refused by its name when the pipeline is created: no execution fails at noon for what could be
told in the morning.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from outcrop.errors import Invalid
from outcrop.protocol.values import json_text
from outcrop.sagemaker.pipelines import conditions
from outcrop.sagemaker.pipelines.parameters import PipelineParameter
from outcrop.sagemaker.pipelines.references import EXECUTION, PARAMETERS, STEPS, Reference, references
from outcrop.sagemaker.pipelines.resource_steps import RESOURCE_STEPS
from outcrop.sagemaker.pipelines.states import StepType

VERSION = "2020-12-01"
VARIABLES = (
    "CurrentDateTime", "PipelineArn", "PipelineExecutionArn", "PipelineExecutionId", "PipelineName", "StartDateTime",
)  # fmt: skip
"What `Execution.…` can name."
_MOST_STEPS = 50
_MEMBERS = {"Version", "Metadata", "Parameters", "PipelineExperimentConfig", "Steps"}
_OF_STEP = {"Name", "Type", "Arguments", "DependsOn", "DisplayName", "Description", "CacheConfig"}
_UNBUILT_IN_STEP = {
    "PropertyFiles": "property files belong to processing steps, which are not built",
    "RetryPolicies": "steps are not tried again by themselves. RetryPipelineExecution goes on from the one that failed",
}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, kw_only=True)
class PipelineStep:
    """A step of a pipeline: what it is asked to do, and what comes before it."""

    name: str
    type: StepType
    arguments: Mapping[str, Any]
    after: frozenset[str]
    "The steps that must have succeeded: named by DependsOn, by a reference, or a condition around it."
    branch: tuple[str, bool] | None
    "The condition that it stands in, and the outcome with which it runs."
    display_name: str | None
    description: str | None

    @property
    def refers_to_steps(self) -> bool:
        """Whether its arguments are known only once other steps have ended."""
        return any(each.of == STEPS for each in references(self.arguments))


@dataclass(frozen=True, kw_only=True)
class PipelineDefinition:
    """A definition that can be executed."""

    parameters: Mapping[str, PipelineParameter]
    steps: Mapping[str, PipelineStep]
    "By name, those of branches too, in the order in which they are written."
    experiment: Mapping[str, Any]


def read(text: str) -> PipelineDefinition:
    """The definition in a text. Raises Invalid, which names what is wrong in it and where."""
    try:
        given = json_text.loads(text)
    except json_text.NotJson as error:
        raise _wrong(f"it is no JSON: {error}.") from error
    if not isinstance(given, dict) or given.get("Version") != VERSION:
        raise _wrong(f'expected a JSON object whose Version is "{VERSION}".')
    for member in given.keys() - _MEMBERS:
        raise _wrong(f"{member}: there is no such member.")
    parameters = _parameters(given.get("Parameters") or [])
    steps = {step.name: step for step in _named_once(_steps(given.get("Steps"), "Steps", None))}
    if not steps or len(steps) > _MOST_STEPS:
        raise _wrong(f"Steps: {len(steps)} steps. Give 1 to {_MOST_STEPS}.")
    experiment = given.get("PipelineExperimentConfig") or {}
    for step in steps.values():
        _check_references(step.name, step.arguments, parameters, steps)
        for name in step.after - steps.keys():
            raise _wrong(f"Steps.{step.name}: DependsOn names {name}, and there is no such step.")
    _check_references("PipelineExperimentConfig", experiment, parameters, {})
    _check_order(steps)
    return PipelineDefinition(parameters=parameters, steps=steps, experiment=experiment)


def _wrong(what: str) -> Invalid:
    return Invalid(f"PipelineDefinition: {what}")


def _parameters(given: Any) -> dict[str, PipelineParameter]:
    if not isinstance(given, list):
        raise _wrong("Parameters: expected a list.")
    found: dict[str, PipelineParameter] = {}
    for place, each in enumerate(given):
        try:
            parameter = PipelineParameter.of(each)
        except Invalid as error:
            raise _wrong(f"Parameters[{place}].{error.message}") from error
        if parameter.name in found:
            raise _wrong(f"Parameters: {parameter.name} stands there twice.")
        found[parameter.name] = parameter
    return found


def _steps(given: Any, place: str, branch: tuple[str, bool] | None) -> Iterator[PipelineStep]:
    """The steps of a list, and behind each condition those of its branches. Raises Invalid."""
    if not isinstance(given, list):
        raise _wrong(f"{place}: expected a list.")
    for number, each in enumerate(given):
        name = each.get("Name") if isinstance(each, dict) else None
        if not isinstance(each, dict) or not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(f"{place}[{number}].Name: expected 1 to 64 letters, figures, - and _.")
        try:
            step = _step(each, name, branch)
        except Invalid as error:
            raise _wrong(f"Steps.{name}: {error.message}") from error
        yield step
        if step.type is StepType.CONDITION:
            for member, outcome in (("IfSteps", True), ("ElseSteps", False)):
                below = f"Steps.{name}.Arguments.{member}"
                yield from _steps(step.arguments.get(member) or [], below, (name, outcome))


def _step(given: Mapping[str, Any], name: str, branch: tuple[str, bool] | None) -> PipelineStep:
    step_type = given.get("Type")
    if step_type not in list(StepType):
        raise Invalid(f"Type: steps of type {step_type} are not built. Built are {', '.join(StepType)}.")
    for member in given.keys() - _OF_STEP - _UNBUILT_IN_STEP.keys():
        raise Invalid(f"{member}: there is no such member.")
    for member, why in _UNBUILT_IN_STEP.items():
        if given.get(member):
            raise Invalid(f"{member}: {why}. Leave it out.")
    caching = given.get("CacheConfig")
    if caching and (not isinstance(caching, Mapping) or caching.get("Enabled") is not False):
        raise Invalid("CacheConfig: steps are not cached, each execution does its work. Leave it out.")
    arguments, depends = given.get("Arguments") or {}, given.get("DependsOn") or []
    if not isinstance(arguments, dict):
        raise Invalid("Arguments: expected an object.")
    if not isinstance(depends, list) or not all(isinstance(each, str) for each in depends):
        raise Invalid("DependsOn: expected a list of names of steps.")
    own = arguments
    if step_type == StepType.CONDITION:
        _check_condition(arguments)
        own = {"Conditions": arguments["Conditions"]}  # the steps of its branches wait for themselves
    elif step_type == StepType.FAIL and arguments.keys() != {"ErrorMessage"}:
        raise Invalid("Arguments: expected ErrorMessage alone.")
    after = {each.partition(".")[0] for each in depends} | {each.name for each in references(own) if each.of == STEPS}
    return PipelineStep(
        name=name,
        type=StepType(step_type),
        arguments=arguments,
        after=frozenset(after | ({branch[0]} if branch else set())),
        branch=branch,
        display_name=given.get("DisplayName"),
        description=given.get("Description"),
    )


def _check_condition(arguments: Mapping[str, Any]) -> None:
    for member in arguments.keys() - {"Conditions", "IfSteps", "ElseSteps"}:
        raise Invalid(f"Arguments.{member}: there is no such member.")
    if not isinstance(arguments.get("Conditions"), list) or not arguments["Conditions"]:
        raise Invalid("Arguments.Conditions: expected a list of conditions.")
    for number, each in enumerate(arguments["Conditions"]):
        try:
            conditions.check(each)
        except Invalid as error:
            raise Invalid(f"Arguments.Conditions[{number}].{error.message}") from error


def _named_once(steps: Iterator[PipelineStep]) -> Iterator[PipelineStep]:
    seen: set[str] = set()
    for step in steps:
        if step.name in seen:
            raise _wrong(f"Steps: {step.name} stands there twice. Names are unique, those of branches too.")
        seen.add(step.name)
        yield step


def _check_references(
    place: str, value: Any, parameters: Mapping[str, PipelineParameter], steps: Mapping[str, PipelineStep]
) -> None:
    for each in references(value):
        if each.of == PARAMETERS and each.name not in parameters:
            raise _wrong(f"{place}: {each.text}: there is no such parameter.")
        if each.of == EXECUTION and each.name not in VARIABLES:
            raise _wrong(f"{place}: {each.text}: there is no such variable. There are {', '.join(VARIABLES)}.")
        if each.of == STEPS:
            _check_property(place, each, steps)


def _check_property(place: str, asked: Reference, steps: Mapping[str, PipelineStep]) -> None:
    step = steps.get(asked.name)
    if step is None:
        raise _wrong(f"{place}: {asked.text}: there is no such step.")
    known = RESOURCE_STEPS[step.type].properties if step.type in RESOURCE_STEPS else ()
    if asked.path[0] not in known:
        told = f"It has {', '.join(known)}." if known else f"A step of type {step.type} has none."
        raise _wrong(f"{place}: {asked.text}: the step has no such property. {told}")


def _check_order(steps: Mapping[str, PipelineStep]) -> None:
    try:
        TopologicalSorter({name: step.after for name, step in steps.items()}).prepare()
    except CycleError as error:
        raise _wrong(f"Steps: {' waits for '.join(reversed(error.args[1]))}. Break the circle.") from error
