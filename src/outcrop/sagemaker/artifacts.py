"""The artifacts that a script leaves in /opt/ml/model and /opt/ml/output/data, put into S3 as SageMaker puts them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-train-storage.html
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outcrop.data.data import RoleData
from outcrop.isolation import archives, leftovers
from outcrop.sagemaker.job_folder import JobFolder

_ARCHIVE, _BINARY = "application/x-tar", "application/octet-stream"


def model_uri(request: Mapping[str, Any]) -> str:
    """Where the model is, or will be."""
    return f"{_base(request)}/{'model/' if _is_loose(request) else 'model.tar.gz'}"


def upload_model(data: RoleData, request: Mapping[str, Any], folder: JobFolder) -> None:
    """Put the model into S3; nothing, where the script has left none. Raises Refusal."""
    _upload(data, request, folder.model, "model", folder)


def upload_output(data: RoleData, request: Mapping[str, Any], folder: JobFolder) -> None:
    """Put what the script has left beside its model into S3. Raises Refusal."""
    _upload(data, request, folder.output / "data", "output", folder)


def _upload(data: RoleData, request: Mapping[str, Any], source: Path, name: str, folder: JobFolder) -> None:
    if not source.is_dir() or next(leftovers.files(source), None) is None:
        return
    if _is_loose(request):
        for file in leftovers.files(source):
            # By its descriptor: the name may be another file's by now.
            held = Path(f"/proc/self/fd/{file.descriptor}")
            data.put_file(f"{_base(request)}/{name}/{file.path}", held, content_type=_BINARY)
        return
    packed = folder.root / f"{name}.tar.gz"
    try:
        with packed.open("wb") as archive:
            archives.pack(source, archive)
            os.fsync(archive.fileno())
        data.put_file(f"{_base(request)}/{name}.tar.gz", packed, content_type=_ARCHIVE)
    finally:
        packed.unlink(missing_ok=True)


def _base(request: Mapping[str, Any]) -> str:
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"


def _is_loose(request: Mapping[str, Any]) -> bool:
    return bool(request["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE")
