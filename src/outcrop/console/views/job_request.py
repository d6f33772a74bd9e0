"""The request of a customization job: from the values of the wizard's form to boto3's, and to code."""

import json
import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

KINDS = ("FINE_TUNING", "CONTINUED_PRE_TRAINING")
STEPS = ("model", "data", "hyper", "review")
_OURS = "outcrop."
"Hyperparameters that the wizard does not ask about are kept as they come: a job that is cloned may have any."
_OF_FAMILIES = ("epochCount", "batchSize", "learningRate", "learningRateWarmupSteps")
"Hyperparameters that families have by these names, or else not at all; ours are called the same behind `outcrop.`."
_OPERATION = "create-model-customization-job"


class HyperField(NamedTuple):
    """A hyperparameter of the wizard; its sentence stands in the tables of texts."""

    name: str
    form: str
    "How it is asked for: `number`, or `choice`."
    example: str = ""
    choices: tuple[str, ...] = ()
    recommended: str = ""
    "What it is where it is left empty, as far as that is known."
    range: str = ""
    problems: Mapping[str, str] = {}
    "Choices that cannot be made here, with the reason."

    @property
    def own_name(self) -> str:
        """The name under which the wizard knows it, whatever the base's family calls it."""
        plain = self.name.removeprefix(_OURS)
        return plain if plain in _OF_FAMILIES else self.name

    @property
    def id(self) -> str:
        return self.own_name.replace(".", "_")

    @property
    def key(self) -> str:
        return f"hyper.{self.id}"


FIELDS = (
    HyperField("epochCount", "number", "3"),
    HyperField("batchSize", "number", "16"),
    HyperField("learningRate", "number", "recommended"),
    HyperField("learningRateWarmupSteps", "number", "10"),
    HyperField("outcrop.method", "choice", choices=("lora", "dora", "oft", "full")),
    HyperField("outcrop.rank", "number", "16"),
    HyperField("outcrop.evalPercentage", "number", "0"),
    HyperField("outcrop.earlyStoppingPatience", "number", "6"),
    HyperField("outcrop.seed", "number", "0"),
)


def fields_of(told: Mapping[str, Any] | None, problems: Mapping[str, str]) -> list[HyperField]:
    """The fields that go with a base model, as `GET /outcrop/catalogue?model=…` tells of it; all where it says nothing.

    A family that has a hyperparameter not at all, or means a multiple by it, is asked for ours of the same name.
    """
    if told is None:
        return list(FIELDS)
    taken, used, found = told["hyperparameters"], told["used"], []
    for field in FIELDS:
        is_multiple = field.name == "learningRate" and told["relativeRate"]
        name = f"{_OURS}{field.name}" if is_multiple or field.name not in taken else field.name
        if name not in taken:
            continue
        recommended = used.get(name) or used.get(f"{_OURS}{field.name}") or used.get(field.name, "")
        found.append(
            field._replace(
                name=name,
                recommended="" if recommended == "recommended" else recommended,
                range=_range(taken[name]),
                problems=problems if field.choices else {},
            )
        )
    return found


def _range(allowed: Mapping[str, Any]) -> str:
    """The numbers that a hyperparameter may have; empty for one that is a word."""
    if "least" not in allowed:
        return ""
    return f"{allowed['least']:,.10g} – {allowed['most']:,.10g}"


class CustomizationForm(NamedTuple):
    """The values of the wizard, all of which stand in its address."""

    model: str = ""
    kind: str = KINDS[0]
    train: str = ""
    validation: str = ""
    hyper: Mapping[str, str] = {}
    name: str = ""
    role: str = ""
    output: str = ""

    @property
    def query(self) -> list[tuple[str, str]]:
        """The form as pairs of an address, without what is empty."""
        pairs = [("model", self.model), ("kind", self.kind), ("train", self.train), ("validation", self.validation)]
        pairs += list(self.hyper.items())
        pairs += [("name", self.name), ("role", self.role), ("output", self.output)]
        return [(key, value) for key, value in pairs if value]

    @property
    def hyper_pairs(self) -> list[str]:
        return [f"{name}={value}" for name, value in self.hyper.items()]


def read_form(values: Mapping[str, str]) -> CustomizationForm:
    """The form of an address or of a posted page; what is empty is left to the recommended values."""
    given = {name: values.get(name, "").strip() for name in CustomizationForm._fields if name != "hyper"}
    names = [*(field.name for field in FIELDS), *sorted(name for name in values if name.startswith(_OURS))]
    hyper = {name: text for name in names if (text := values.get(name, "").strip())}
    kind = given.pop("kind")
    return CustomizationForm(kind=kind if kind in KINDS else KINDS[0], hyper=hyper, **given)


def first_missing(form: CustomizationForm) -> str:
    """The first step that has something to ask, or the last."""
    return STEPS[0] if not form.model else STEPS[1] if not form.train else STEPS[3]


def request_of(form: CustomizationForm) -> dict[str, Any]:
    """The parameters of CreateModelCustomizationJob."""
    request: dict[str, Any] = {
        "jobName": form.name,
        "customModelName": form.name,
        "roleArn": form.role,
        "baseModelIdentifier": form.model,
        "customizationType": form.kind,
        "trainingDataConfig": {"s3Uri": form.train},
        "outputDataConfig": {"s3Uri": form.output},
    }
    if form.validation:
        request["validationDataConfig"] = {"validators": [{"s3Uri": form.validation}]}
    return request | ({"hyperParameters": dict(form.hyper)} if form.hyper else {})


def default_output(train: str) -> str:
    """A place for the output beside the training data."""
    bucket = train.removeprefix("s3://").partition("/")[0]
    return f"s3://{bucket}/output/" if bucket else ""


def boto3_code(request: Mapping[str, Any]) -> str:
    """The request as a program of boto3."""
    lines = [f"    {name}={_python(value)}," for name, value in request.items()]
    begin = 'import boto3\n\nbedrock = boto3.client("bedrock")\nbedrock.create_model_customization_job(\n'
    return begin + "\n".join(lines) + "\n)"


def cli_code(request: Mapping[str, Any]) -> str:
    """The request as a command of the AWS CLI."""
    options = [
        f"--{_dashed(name)} {shlex.quote(value if isinstance(value, str) else json.dumps(value))}"
        for name, value in request.items()
    ]
    return " \\\n    ".join([f"aws bedrock {_OPERATION}", *options])


def _python(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
