"""Settings of the model server, read from the container's variables: places, workers, limits."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TOOLKITS = ("huggingface", "pytorch", "scikit-learn")


class WrongSetting(Exception):
    """A variable whose value the server cannot use."""


@dataclass(frozen=True)
class ServerSettings:
    """The variables of a serving container, read once."""

    base: Path
    "/opt/ml, where nothing else is said."
    toolkit: str
    "Whose promises to the code are kept: one of TOOLKITS."
    program: str
    num_workers: int
    timeout_s: float
    "The longest silence of a worker: until it answers, and between the pieces of a stream."
    startup_timeout_s: float
    max_payload_mb: int
    default_accept: str

    @property
    def model_dir(self) -> Path:
        return self.base / "model"

    @property
    def code_dir(self) -> Path:
        return self.model_dir / "code"

    @property
    def module(self) -> str:
        return self.program[: -len(".py")] if self.program.endswith(".py") else self.program

    @classmethod
    def from_environment(cls, given: Mapping[str, str] = os.environ) -> ServerSettings:
        """Read the variables; an empty one counts as absent, as the SDK sends them. Raises WrongSetting."""
        present = {name: value for name, value in given.items() if value}
        toolkit = present.get("OUTCROP_SERVING", "")
        if toolkit not in TOOLKITS:
            raise WrongSetting(f"OUTCROP_SERVING: {toolkit!r} is no toolkit. Set one of {', '.join(TOOLKITS)}.")
        seconds = "SAGEMAKER_MODEL_SERVER_TIMEOUT_SECONDS"
        timeout = seconds if seconds in present else "SAGEMAKER_MODEL_SERVER_TIMEOUT"
        return cls(
            base=Path(present.get("SAGEMAKER_BASE_DIR", "/opt/ml")),
            toolkit=toolkit,
            program=present.get("SAGEMAKER_PROGRAM", "inference.py"),
            num_workers=_number(present, "SAGEMAKER_MODEL_SERVER_WORKERS", 1),
            timeout_s=_number(present, timeout, 60),
            startup_timeout_s=_number(present, "SAGEMAKER_STARTUP_TIMEOUT", 600),
            max_payload_mb=_number(present, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6),
            default_accept=present.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "application/json"),
        )


def log(text: str) -> None:
    """Write one line of the server's own into the log of the endpoint."""
    # One write for each line: workers print into the same stream.
    sys.stderr.write(f"model server: {text}\n")
    sys.stderr.flush()


def _number(given: Mapping[str, str], name: str, otherwise: int) -> int:
    text = given.get(name, str(otherwise))
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise WrongSetting(f"{name}: {text!r} is no whole number above 0. Give one, or leave the variable out.")
    return int(text)
