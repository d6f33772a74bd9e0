"""The code of a training job: its archive, the command that starts it, and the variables that it finds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outcrop.access.credentials import Issued
from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.isolation import archives
from outcrop.sagemaker.environments import ENVIRONMENT_INSIDE
from outcrop.sagemaker.images import ImageFamily
from outcrop.sagemaker.job_folder import JobFolder

LAUNCHER = Path(__file__).parent / "inside" / "script_mode.py"
LAUNCHER_INSIDE = "/run/outcrop/script_mode.py"
INSTALLED = "OUTCROP_REQUIREMENTS_INSTALLED"
"Tells the launcher that it need not install what the code requires."
_SUBMITTED = "sagemaker_submit_directory"
_CHANNELS = "/opt/ml/input/data/"
_MOST_CODE_BYTES = 2 << 30
_ARCHIVES = (".tar.gz", ".tgz")


def fetch_code(data: RoleData, request: Mapping[str, Any], folder: JobFolder) -> None:
    """Unpack the source archive that the hyperparameters name into /opt/ml/code. Raises Invalid."""
    source = _value(request.get("HyperParameters", {}).get(_SUBMITTED, ""))
    if source.startswith(_CHANNELS):
        source = _in_channel(request, source)
    if not source.startswith("s3://"):
        return  # the code of the image's own, or what the job says runs
    if not source.endswith(_ARCHIVES):
        raise Invalid(f"{_SUBMITTED}: {source} is no tar.gz archive. Upload the source folder as one.")
    archive = folder.root / "sourcedir.tar.gz"
    data.fetch(source, archive)
    try:
        with archive.open("rb") as opened:
            archives.unpack(opened, folder.code, most_bytes=_MOST_CODE_BYTES)
    except Invalid as refused:
        raise Invalid(f"{source}: {refused.message}") from refused
    finally:
        archive.unlink()


def _in_channel(request: Mapping[str, Any], path: str) -> str:
    """Where a file that is to lie in a channel comes from: code is there before any channel is."""
    name, _, rest = path.removeprefix(_CHANNELS).partition("/")
    sources = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in request.get("InputDataConfig", [])
    }
    if name not in sources:
        raise Invalid(f"{_SUBMITTED}: {path}: there is no channel {name}. Give one, or an archive in S3.")
    uri: str = sources[name]
    return uri if uri.rpartition("/")[2] == rest else f"{uri.rstrip('/')}/{rest}"


def command(request: Mapping[str, Any]) -> list[str]:
    """The command that runs in the sandbox."""
    algorithm = request["AlgorithmSpecification"]
    if entry := algorithm.get("ContainerEntrypoint"):
        return [*entry, *algorithm.get("ContainerArguments", [])]
    return [f"{ENVIRONMENT_INSIDE}/bin/python", LAUNCHER_INSIDE]


def is_isolated(request: Mapping[str, Any]) -> bool:
    """Whether a request wants its script to reach nothing, this installation too."""
    return bool(request.get("EnableNetworkIsolation"))


def variables(
    request: Mapping[str, Any], family: ImageFamily, *, job_arn: str, region: str, endpoint: str, session: Issued
) -> dict[str, str]:
    """The variables of a training container, with the address of this installation and the role's credentials.

    An isolated one gets neither: it could use them nowhere.
    """
    reaching = {
        "AWS_ACCESS_KEY_ID": session.key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret,
        "AWS_SESSION_TOKEN": session.session_token,
        "AWS_ENDPOINT_URL": endpoint,
        "S3_ENDPOINT_URL": endpoint,
    }
    return {
        "PATH": f"{ENVIRONMENT_INSIDE}/bin:/usr/local/bin:/usr/bin:/bin",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAGEMAKER_TRAINING_MODULE": f"sagemaker_{family.name.replace('-', '_')}_container.training:main",
        "TRAINING_JOB_NAME": request["TrainingJobName"],
        "TRAINING_JOB_ARN": job_arn,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **({} if is_isolated(request) else reaching),
        "HF_HUB_OFFLINE": "1",
        INSTALLED: "1",
        **request.get("Environment", {}),
    }


def _value(text: str) -> str:
    """A hyperparameter of the SDK, which writes every value as JSON."""
    try:
        return str(json.loads(text))
    except ValueError:
        return text
