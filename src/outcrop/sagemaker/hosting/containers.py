"""The container of a CreateModel request: what serves, from which files, with which variables.

Empty texts stand for members that are not there, as SDK 2.x sends them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from outcrop.errors import Invalid

_UNREAL = {
    "ModelPackageName": "there is no model registry",
    "ImageConfig": "images are not pulled from a registry",
    "MultiModelConfig": "several models in one container are not built",
    "AdditionalModelDataSources": "further artifacts beside the model's own are not built",
    "InferenceSpecificationName": "there is no model registry",
}
_PROGRAM, _SUBMITTED = "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"


@dataclass(frozen=True, kw_only=True)
class ModelContainer:
    """A container of a model."""

    image: str
    source: str
    "The artifact: a tar.gz archive, or a prefix that ends in a slash; empty where there is none."
    environment: Mapping[str, str]

    @classmethod
    def of(cls, params: Mapping[str, Any], member: str) -> Self:
        """The container of a definition that stands in `member` of a request. Raises Invalid for what is not real."""
        for name, why in _UNREAL.items():
            if params.get(name):
                raise Invalid(f"{member}.{name}: {why}. Leave it out.")
        if params.get("Mode", "SingleModel") != "SingleModel":
            raise Invalid(f"{member}.Mode: several models in one container are not built. Make a model of each.")
        if not params.get("Image"):
            raise Invalid(f"{member}.Image: missing. Name an image; what serves the model follows from it.")
        return cls(
            image=params["Image"],
            source=_source(params, member),
            environment={name: value for name, value in params.get("Environment", {}).items() if value != ""},
        )

    @property
    def program(self) -> str | None:
        """The file with the user's functions, where one is named."""
        return self.environment.get(_PROGRAM)

    @property
    def submitted(self) -> str | None:
        """An archive in S3 with the user's code, beside the model's; None where it is in the model's own."""
        named = self.environment.get(_SUBMITTED, "")
        return named if named.startswith("s3://") else None

    @property
    def hub_model(self) -> str | None:
        """The model of a hub, where one is named and not a folder."""
        named = self.environment.get("HF_MODEL_ID") or self.environment.get("SM_VLLM_MODEL")
        return None if named is None or named.startswith("/") else named

    def document(self) -> dict[str, Any]:
        """The container as a record keeps it."""
        return {"image": self.image, "source": self.source, "environment": dict(self.environment)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        return cls(image=document["image"], source=document["source"], environment=document["environment"])


def _source(params: Mapping[str, Any], member: str) -> str:
    """The place of the artifact. Raises Invalid."""
    if params.get("ModelDataUrl"):
        return str(params["ModelDataUrl"])
    if "ModelDataSource" not in params:
        return ""
    place = f"{member}.ModelDataSource.S3DataSource"
    named = params["ModelDataSource"].get("S3DataSource")
    if not named:
        raise Invalid(f"{place}: missing. Name the model's place in S3.")
    uri: str = named["S3Uri"]
    if named.get("ManifestS3Uri"):
        raise Invalid(f"{place}.ManifestS3Uri: manifests of models are not built. Name a prefix.")
    if named["CompressionType"] == "None" and not uri.endswith("/"):
        if named["S3DataType"] == "S3Object":
            raise Invalid(f"{place}: a single object that is no archive is not built. Name its prefix, or an archive.")
        return f"{uri}/"
    return uri
