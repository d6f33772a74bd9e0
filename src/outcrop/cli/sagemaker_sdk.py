"""The environment of the SageMaker SDKs, beside the variables of every AWS client: a configuration, and a way to STS.

https://sagemaker.readthedocs.io/en/stable/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop import sagemaker
from outcrop.access.installation import SAGEMAKER_ROLE
from outcrop.access.names import arn_of
from outcrop.settings import DEFAULT_REGION, Settings

if TYPE_CHECKING:
    from outcrop.access.installation import Installation

_FILE = "sagemaker-sdk.yaml"
SHIM = Path(next(iter(sagemaker.__path__))) / "shim"


def variables(settings: Settings, made: "Installation") -> dict[str, str]:
    """The variables; the configuration that one of them names is written into the home."""
    configuration = settings.home / _FILE
    configuration.write_text(_text(made), "utf-8")
    before = os.environ.get("PYTHONPATH", "")
    paths = [str(SHIM), *(path for path in before.split(os.pathsep) if path and path != str(SHIM))]
    return {"SAGEMAKER_USER_CONFIG_OVERRIDE": str(configuration), "PYTHONPATH": os.pathsep.join(paths)}


def _text(made: "Installation") -> str:
    """A default bucket and role, and no report to Amazon of what is called."""
    role = arn_of(made.account, "role", "/", SAGEMAKER_ROLE)
    return f"""\
SchemaVersion: '1.0'
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
      Session:
        DefaultS3Bucket: sagemaker-{DEFAULT_REGION}-{made.account}
  TrainingJob:
    RoleArn: {role}
  Model:
    ExecutionRoleArn: {role}
"""
