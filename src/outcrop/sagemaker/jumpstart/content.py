"""The content of JumpStart's buckets: manifests, specifications, models and the training script.

It follows the catalogue, each time that it is asked for. What was made is kept while the models stay as they are. The
files of a model are those of its folder, read where they lie; the gated bucket is there and empty.
"""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outcrop.buckets.provided import ProvidedContent, ProvidedValue
from outcrop.catalog.catalog import Catalog
from outcrop.sagemaker.jumpstart import bucket_names, script_archive
from outcrop.sagemaker.jumpstart.bucket_names import GATED
from outcrop.sagemaker.jumpstart.public_models import PublicModel, public_models
from outcrop.sagemaker.jumpstart.specification import (
    artifact_prefix,
    manifest_entry,
    specification,
    specification_key,
)

MANIFEST, PROPRIETARY = "models_manifest.json", "proprietary-sdk-manifest.json"
DESCRIPTION = "outcrop.json"
"Beside a model's files: what the catalogue knows of it, for the training script."
_TAGS = {"SageMaker": "true"}
"AmazonSageMakerFullAccess lets objects with this tag be read."
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
"The time of what is there with the program itself."


class JumpStartContent:
    """The provider of JumpStart's buckets in every region."""

    def __init__(self, catalog: Catalog, account: str) -> None:
        self._catalog = catalog
        self._account = account
        self._models: list[PublicModel] = []
        self._made: dict[str, ProvidedContent] = {}
        self._lock = threading.Lock()

    def content(self, bucket: str) -> ProvidedContent | None:
        """The content of a bucket now; None for one that is not JumpStart's."""
        named = bucket_names.parse(bucket)
        if named is None:
            return None
        if named.kind == GATED:
            return ProvidedContent(region=named.region, objects={}, tags=_TAGS)
        models = public_models(self._catalog)
        with self._lock:
            if models != self._models:
                self._models, self._made = models, {}
            if named.region not in self._made:
                self._made[named.region] = self._content(models, named.region)
            return self._made[named.region]

    def _content(self, models: list[PublicModel], region: str) -> ProvidedContent:
        newest = max((model.modified for model in models), default=_BEGINNING)
        objects: dict[str, ProvidedValue | Path] = {
            MANIFEST: _json([manifest_entry(model) for model in models], newest),
            PROPRIETARY: _json([_PROPRIETARY_ENTRY], _BEGINNING),
            _PROPRIETARY_KEY: _json(_PROPRIETARY_SPECIFICATION, _BEGINNING),
            script_archive.KEY: ProvidedValue(content=script_archive.script_archive(), modified=_BEGINNING),
        }
        for model in models:
            made = specification(model, region=region, account=self._account)
            objects[specification_key(model)] = _json(made, model.modified)
            prefix = artifact_prefix(model)
            objects[f"{prefix}{DESCRIPTION}"] = _json(description(model), model.modified)
            objects |= {f"{prefix}{name}": path for name, path in model.files.items()}
        return ProvidedContent(region=region, objects=objects, tags=_TAGS)


def description(model: PublicModel) -> dict[str, Any]:
    """Facts of a model that the catalogue knows and its files do not say."""
    base = model.base
    return {
        "model": base.engine,
        "context_length": base.context_length,
        "told_context": base.told_context,
        "learning_rate": model.learning_rate,
        "way": None if base.way is None else base.way.value,
    }


_PROPRIETARY_KEY = "proprietary-models/outcrop-marketplace-none/proprietary_specs_1.0.0.json"
_PROPRIETARY_ENTRY = {
    "model_id": "outcrop-marketplace-none",
    "version": "1.0.0",
    "min_version": "999.0.0",
    "spec_key": _PROPRIETARY_KEY,
    "search_keywords": ["There are no models of the marketplace here. The SDK wants one entry at least."],
}
"No version of the SDK is new enough for it, so it is in no list of what can be used."
_PROPRIETARY_SPECIFICATION = {
    "model_id": "outcrop-marketplace-none",
    "version": "1.0.0",
    "min_sdk_version": "999.0.0",
    "training_supported": False,
    "incremental_training_supported": False,
    "deprecated": True,
    "deprecated_message": "There are no models of the marketplace here.",
}


def _json(value: Any, modified: datetime) -> ProvidedValue:
    content = json.dumps(value, indent=2, ensure_ascii=False).encode()
    return ProvidedValue(content=content, modified=modified)
