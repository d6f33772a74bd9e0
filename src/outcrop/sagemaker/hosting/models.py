"""Models of SageMaker on record: an image, an artifact and a role, before anything serves them."""

from collections.abc import Mapping
from typing import Any

from outcrop.arn import sagemaker as sagemaker_arn
from outcrop.errors import Conflict, Invalid
from outcrop.sagemaker import images
from outcrop.sagemaker.hosting.containers import ModelContainer
from outcrop.sagemaker.rooms import TrainingRooms
from outcrop.sagemaker.training_request import SERVICE
from outcrop.store.resources import Resource
from outcrop.store.tags import check_number, tags_of

KIND = "model"


def arn_of(house: TrainingRooms, region: str, name: str) -> str:
    return sagemaker_arn(region, house.account, f"{KIND}/{name.lower()}")


def create(house: TrainingRooms, params: Mapping[str, Any], *, region: str) -> str:
    """Check the request, and write the model's row; returns its ARN. Raises Refusal."""
    name = params["ModelName"]
    model_arn = arn_of(house, region, name)
    member, definition = _definition(params)
    container = ModelContainer.of(definition, member)
    family = images.family_of(house.settings, container.image, member=f"{member}.Image")
    if family.serving is None:
        raise Invalid(f"{member}.Image: the environment {family.name} serves no models. Name an image for inference.")
    _check_artifact(house, params, container, model_arn)
    tags = tags_of("Tags", [{"key": tag["Key"], "value": tag["Value"]} for tag in params.get("Tags", [])])
    check_number(model_arn, tags)
    now = house.clock.now()
    kept = {key: value for key, value in params.items() if key != "Tags"}
    row = Resource(
        arn=model_arn,
        kind=KIND,
        region=region,
        name=name,
        created=now,
        updated=now,
        document={"request": kept, "container": container.document()},
    )
    with house.store.transaction():
        try:
            house.store.resources.add(row)
        except Conflict as taken:  # by its name, or by one in other letters
            raise Invalid(f'Cannot create already existing model "{model_arn}".') from taken
        house.store.tags.put(model_arn, tags)
    return model_arn


def find(house: TrainingRooms, region: str, name: str) -> Resource:
    """The model of this name. Raises Invalid, in SageMaker's words."""
    found = house.store.resources.find(KIND, region, name)
    if found is None:
        raise Invalid(f'Could not find model "{arn_of(house, region, name)}".')
    return found


def _definition(params: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    containers = params.get("Containers", [])
    if len(containers) > 1 or params.get("InferenceExecutionConfig", {}).get("Mode") == "Direct":
        raise Invalid("Containers: several containers behind each other are not built. Make a model of each.")
    if containers:
        return "Containers.1.member", containers[0]
    if "PrimaryContainer" not in params:
        raise Invalid("PrimaryContainer: missing. Say what serves the model.")
    return "PrimaryContainer", params["PrimaryContainer"]


def _check_artifact(house: TrainingRooms, params: Mapping[str, Any], container: ModelContainer, model_arn: str) -> None:
    """Raises Invalid where the role may not read the artifact, or it is not there."""
    role = params.get("ExecutionRoleArn")
    if role is None:
        raise Invalid("ExecutionRoleArn: missing. Name the role that the model runs under.")
    data = house.data.under(role, source_arn=model_arn, service=SERVICE)
    if not container.source:
        return
    if not container.source.endswith("/"):
        data.find(container.source)
    elif next(data.list_objects(container.source), None) is None:
        raise Invalid(f"Could not find model data at {container.source}.")
