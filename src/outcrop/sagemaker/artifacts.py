"""The artifacts that a script leaves in /opt/ml/model and /opt/ml/output/data, put into S3 as SageMaker puts them.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-train-storage.html
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from outcrop.data.data import RoleData
from outcrop.isolation import archives, leftovers
from outcrop.sagemaker.job_folder import JobFolder

_MOST_TOLD = 20
_ARCHIVE, _BINARY = "application/x-tar", "application/octet-stream"


def model_uri(request: Mapping[str, Any]) -> str:
    """Where the model is, or will be."""
    return f"{_base(request)}/{'model/' if _is_loose(request) else 'model.tar.gz'}"


def upload_model(data: RoleData, request: Mapping[str, Any], folders: Sequence[JobFolder]) -> list[str]:
    """Put the model of all instances into S3; nothing, where the script has left none. Raises Refusal.

    Returns a sentence for each thing that was left out.
    """
    return _upload(data, request, [folder.model for folder in folders], "model", folders[0].root)


def upload_output(data: RoleData, request: Mapping[str, Any], folders: Sequence[JobFolder]) -> list[str]:
    """Put what the script has left beside its model into S3, in the same way. Raises Refusal."""
    return _upload(data, request, [folder.output / "data" for folder in folders], "output", folders[0].root)


def _upload(
    data: RoleData, request: Mapping[str, Any], sources: Sequence[Path], name: str, workplace: Path
) -> list[str]:
    filled = [each for each in sources if each.is_dir() and next(leftovers.files(each), None) is not None]
    if not filled:
        return []
    if _is_loose(request):
        return _upload_loose(data, f"{_base(request)}/{name}", filled)
    packed = workplace / f"{name}.tar.gz"
    try:
        with packed.open("wb") as archive:
            left_out = archives.pack(filled[0], archive, more=filled[1:]).left_out
            os.fsync(archive.fileno())
        data.put_file(f"{_base(request)}/{name}.tar.gz", packed, content_type=_ARCHIVE)
    finally:
        packed.unlink(missing_ok=True)
    return _told(f"{name}.tar.gz", left_out)


def _upload_loose(data: RoleData, uri: str, sources: Sequence[Path]) -> list[str]:
    """Put the files of all instances below a URI; of one name, that of the first."""
    seen: set[str] = set()
    left_out = []
    for source in sources:
        for file in leftovers.files(source):
            if file.path in seen:
                left_out.append(f"{file.path}: another instance has something of that name")
                continue
            seen.add(file.path)
            # By its descriptor: the name may be another file's by now.
            held = Path(f"/proc/self/fd/{file.descriptor}")
            data.put_file(f"{uri}/{file.path}", held, content_type=_BINARY)
    return _told(uri, left_out)


def _told(place: str, left_out: Sequence[str]) -> list[str]:
    """Sentences for the job's log: the first ones, and how many more there are."""
    more = [f"{place}: {len(left_out) - _MOST_TOLD:,} more were left out."] if len(left_out) > _MOST_TOLD else []
    return [*(f"{place}: {sentence}; it was left out." for sentence in left_out[:_MOST_TOLD]), *more]


def _base(request: Mapping[str, Any]) -> str:
    return f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"


def _is_loose(request: Mapping[str, Any]) -> bool:
    return bool(request["OutputDataConfig"].get("CompressionType", "GZIP") == "NONE")
