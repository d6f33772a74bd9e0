"""Names of models as OpenAI's clients send them, and what they stand for here.

A foundation model, a deployment and provisioned throughput go by their ids, names and ARNs, as at Bedrock. A custom
model has a name of OpenAI's form too, `ft:BASE:outcrop:SUFFIX:ID`, which is its base's id and its own name
`SUFFIX-ID`; one whose name has no such id is `ft:BASE:outcrop:NAME`. A checkpoint of its job has `:ckpt-step-STEP`
behind it.
"""

import re
from typing import NamedTuple

from outcrop import arn as arns
from outcrop.catalog.custom_model_states import KIND
from outcrop.deployments.states import ON_DEMAND, SERVING, THROUGHPUT, WAITING
from outcrop.house import House
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

OWNER = "outcrop"
"Who owns every model here, as OpenAI's form asks for."
NO_SUFFIX = "ft"
"Begins the name of a custom model whose job gave it no suffix."
_FINE_TUNED = re.compile(rf"ft:(?P<base>.+):{OWNER}:(?P<name>.+)", re.DOTALL)
_CHECKPOINT = re.compile(r"(?P<model>ft:.+):ckpt-step-(?P<step>[0-9]{1,9})", re.DOTALL)
_WITH_ID = re.compile(r"(?P<suffix>.+)-(?P<id>[a-z0-9]{12})", re.DOTALL)


class FineTunedName(NamedTuple):
    """A name of OpenAI's form, taken apart."""

    base_id: str
    model_name: str


class CheckpointName(NamedTuple):
    """A checkpoint of the job that makes a custom model."""

    whole: FineTunedName
    step: int

    @property
    def model_name(self) -> str:
        """The name of the custom model that it becomes when it is asked."""
        return f"{self.whole.model_name}-step-{self.step}"


def fine_tuned_name(base_id: str, model_name: str) -> str:
    """The name of a custom model in OpenAI's form."""
    found = _WITH_ID.fullmatch(model_name)
    if found is None:
        return f"ft:{base_id}:{OWNER}:{model_name}"
    suffix = "" if found["suffix"] == NO_SUFFIX else found["suffix"]
    return f"ft:{base_id}:{OWNER}:{suffix}:{found['id']}"


def parse_fine_tuned(name: str) -> FineTunedName | None:
    """The base's id and the custom model's name in a name of OpenAI's form; None for any other."""
    found = _FINE_TUNED.fullmatch(name)
    if found is None:
        return None
    suffix, colon, identifier = found["name"].rpartition(":")
    return FineTunedName(found["base"], f"{suffix or NO_SUFFIX}-{identifier}" if colon else found["name"])


def parse_checkpoint(name: str) -> CheckpointName | None:
    """The custom model and the step in the name of a checkpoint; None for any other name."""
    found = _CHECKPOINT.fullmatch(name)
    whole = None if found is None else parse_fine_tuned(found["model"])
    return None if found is None or whole is None else CheckpointName(whole, int(found["step"]))


def name_of(model: Resource) -> str:
    """The name of a custom model on record, in OpenAI's form. Raises Damaged."""
    with understood(model.arn):
        return fine_tuned_name(str(model.document["baseId"]), model.name or "")


def custom_model(house: House, region: str, name: str) -> Resource | None:
    """The custom model that a name, an ARN or a name of OpenAI's form stands for."""
    checkpoint = parse_checkpoint(name)
    if checkpoint is not None:
        return _of_base(house.models.look(region, checkpoint.model_name), checkpoint.whole.base_id)
    parsed = parse_fine_tuned(name)
    if parsed is None:
        return house.models.look(region, name)
    return _of_base(house.models.look(region, parsed.model_name), parsed.base_id)


def _of_base(model: Resource | None, base_id: str) -> Resource | None:
    """The model, if it is one of this base: a name that says another names nothing."""
    return model if model is not None and model.document.get("baseId") == base_id else None


def region_of(name: str) -> str | None:
    """The region that an ARN is in; None where the name is none, or says no region."""
    parsed = arns.parse(name)
    return parsed.region or None if parsed is not None and parsed.service == "bedrock" else None


def invoked(house: House, region: str, name: str) -> str:
    """The id by which Bedrock knows a model: a custom model's deployment, or its own where it has none.

    A name that stands for nothing stays as it is.
    """
    if parse_fine_tuned(name) is None and _is_deployed(house, region, name):
        return name
    model = custom_model(house, region, name)
    if model is None:
        return name
    found = deployment_of(house, model)
    return model.arn if found is None else found.arn


def deployment_of(house: House, model: Resource) -> Resource | None:
    """The deployment that answers for a custom model: one that serves it, else one that will."""
    usable = [row for row in house.deployments.of_model(model.arn) if row.document.get("modelArn") == model.arn]
    serving = [row for row in usable if row.status == SERVING[row.kind]]
    waiting = [row for row in usable if row.status in WAITING]
    return next(iter([*serving, *waiting]), None)


def _is_deployed(house: House, region: str, name: str) -> bool:
    """Whether it names a foundation model, a deployment or throughput, which come before custom models of that name."""
    if arns.is_arn(name):
        parsed = arns.parse(name)
        return parsed is None or parsed.kind != KIND
    if house.catalog.find(name) is not None:
        return True
    return any(house.store.resources.row_named(kind, region, name) is not None for kind in (ON_DEMAND, THROUGHPUT))
