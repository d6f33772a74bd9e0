"""The family of a custom model: what it was trained from, what was made from it, and what serves it.

What the API tells is asked of the API; what each model learned is in the lineage beside its files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop.catalog.custom_models import CustomModels
from outcrop.customization.output import lineage
from outcrop.customization.output.lineage import Lineage

FORGETS = "outcrop.forgets"
"Tag of a custom model that was trained again without some records: the ARN of the model that learned them."


@dataclass(frozen=True, kw_only=True)
class FamilyMember:
    """A custom model of a family."""

    told: Mapping[str, Any]
    "As GetCustomModel tells it."
    lineage: Lineage | None
    "None: no job here has trained it."

    @property
    def arn(self) -> str:
        return str(self.told["modelArn"])

    @property
    def name(self) -> str:
        return str(self.told["modelName"])

    @property
    def created(self) -> datetime:
        created: datetime = self.told["creationTime"]
        return created

    @property
    def start_arn(self) -> str:
        """The foundation model or custom model that its training began with."""
        return str(self.told["baseModelArn"])

    @property
    def has_parent(self) -> bool:
        return ":custom-model/" in self.start_arn


@dataclass(frozen=True, kw_only=True)
class ServedBy:
    """A deployment of a custom model, on demand or with provisioned throughput."""

    arn: str
    name: str
    status: str
    is_provisioned: bool


class ModelFamily:
    """Members of one region, found through its client."""

    def __init__(self, bedrock: Any, models: CustomModels) -> None:
        self.bedrock = bedrock
        self._models = models

    def member(self, identifier: str) -> FamilyMember | None:
        """The custom model of this name or ARN; None where there is none. Raises ModelDamaged."""
        try:
            told = self.bedrock.get_custom_model(modelIdentifier=identifier)
        except self.bedrock.exceptions.ResourceNotFoundException:
            return None
        model_arn = told["modelArn"]
        return FamilyMember(
            told=told, lineage=lineage.read(self._models.folder(model_arn), self._models.keys(model_arn))
        )

    def line(self, member: FamilyMember) -> list[FamilyMember]:
        """The custom models from the first one above the base model down to this one; a deleted parent ends it."""
        found = [member]
        while found[0].has_parent and (parent := self.member(found[0].start_arn)) is not None:
            found.insert(0, parent)
        return found

    def children(self, member: FamilyMember) -> list[FamilyMember]:
        """The custom models that were trained from this one, oldest first."""
        return sorted(self._made_from(member.arn), key=lambda child: child.created)

    def trained_again(self, member: FamilyMember, start_arn: str) -> list[FamilyMember]:
        """The models trained from `start_arn` that are this one without some of its records, newest first."""
        found = [other for other in self._made_from(start_arn) if self.forgets(other) == member.arn]
        return sorted(found, key=lambda other: other.created, reverse=True)

    def forgets(self, member: FamilyMember) -> str | None:
        """The ARN of the model that this one is without some records."""
        return self.tags(member.arn).get(FORGETS)

    def tags(self, arn: str) -> dict[str, str]:
        tags = self.bedrock.list_tags_for_resource(resourceARN=arn)["tags"]
        return {tag["key"]: tag["value"] for tag in tags}

    def served_by(self, member: FamilyMember) -> list[ServedBy]:
        """The deployments that serve this model."""
        return [*self._on_demand(member.arn), *self._provisioned(member.arn)]

    def _made_from(self, arn: str) -> Iterator[FamilyMember]:
        pages = self.bedrock.get_paginator("list_custom_models").paginate(baseModelArnEquals=arn)
        for page in pages:
            for summary in page["modelSummaries"]:
                found = self.member(summary["modelArn"])
                if found is not None:
                    yield found

    def _on_demand(self, arn: str) -> Iterator[ServedBy]:
        pages = self.bedrock.get_paginator("list_custom_model_deployments").paginate(modelArnEquals=arn)
        for page in pages:
            for each in page["modelDeploymentSummaries"]:
                yield ServedBy(
                    arn=each["customModelDeploymentArn"],
                    name=each["customModelDeploymentName"],
                    status=each["status"],
                    is_provisioned=False,
                )

    def _provisioned(self, arn: str) -> Iterator[ServedBy]:
        pages = self.bedrock.get_paginator("list_provisioned_model_throughputs").paginate(modelArnEquals=arn)
        for page in pages:
            for each in page["provisionedModelSummaries"]:
                yield ServedBy(
                    arn=each["provisionedModelArn"],
                    name=each["provisionedModelName"],
                    status=each["status"],
                    is_provisioned=True,
                )
