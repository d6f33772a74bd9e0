"""A whole installation for tests: `outcrop up` as a process of its own on a free port, with tiny base models."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from outcrop.catalog.catalog import Catalog
from outcrop.cli.listening import answers, free_port
from outcrop.network import facts
from outcrop.network.way import Verdict, Way
from outcrop.settings import PARTS_FILE, Settings
from tests.support.patience import PATIENCE_S
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

TINY = "local.tiny-v1"
ALIASES = (
    "amazon.titan-text-lite-v1",
    "meta.llama2-13b-v1:0",
    "anthropic.claude-3-haiku-20240307-v1:0",
    "amazon.nova-micro-v1:0",
)
PATIENT = Config(retries={"mode": "standard", "max_attempts": 10})


@dataclass(frozen=True, kw_only=True)
class Installed:
    """A running installation and how to talk to it."""

    settings: Settings
    process: "subprocess.Popen[str]"

    def environment(self) -> dict[str, str]:
        """What `outcrop env` says."""
        said = outcrop("env", "--json", "--home", str(self.settings.home))
        values: dict[str, str] = json.loads(said.stdout)
        return values

    def client(self, service: str) -> Any:
        """A boto3 client that was told nothing but the environment."""
        values = self.environment()
        return boto3.client(
            service,
            endpoint_url=values["AWS_ENDPOINT_URL"],
            region_name=values["AWS_DEFAULT_REGION"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
            config=PATIENT,
        )

    def health(self) -> dict[str, Any]:
        """What /health tells the administrator."""
        values = self.environment()
        url = f"{self.settings.endpoint}/health"
        signed = signed_for_health(url, values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
        told: dict[str, Any] = httpx.get(url, headers=signed, timeout=PATIENCE_S).json()
        return told

    @property
    def role(self) -> str:
        return self.environment()["OUTCROP_ROLE_ARN"]

    def pid_of(self, part: str) -> int | None:
        """The process id of a part, as the supervisor wrote it down; None while it is not running."""
        parts = json.loads((self.settings.home / "parts.json").read_text())["parts"]
        found = parts.get(part)
        return found["pid"] if found and found["alive"] else None


def signed_for_health(url: str, key_id: str, secret: str) -> dict[str, str]:
    """The headers of a GET that is signed for the service `outcrop`."""
    request = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials(key_id, secret), "outcrop", "us-east-1").add_auth(request)
    return dict(request.headers)


def outcrop(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    command = [sys.executable, "-m", "outcrop.cli.app", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **more)


@contextmanager
def installed(home: Path, **environment: str) -> Iterator[Installed]:
    """`outcrop up` on `home`, ended by SIGTERM; `environment` is told to it."""
    settings = Settings(home=home, port=free_port("127.0.0.1"), threads=1)
    process = subprocess.Popen(
        [sys.executable, "-m", "outcrop.cli.app", "up", "--home", str(home), "--port", str(settings.port)],
        env={**os.environ, "OUTCROP_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=0,  # what the house makes is closed to others all the same, see test_up.py
    )
    try:
        parts = home / PARTS_FILE
        eventually(lambda: (answers(settings) and parts.exists()) or process.poll() is not None)
        assert process.poll() is None, process.communicate()[0]
        yield Installed(settings=settings, process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def with_tiny_models(home: Path) -> Path:
    """A home whose catalogue has a tiny model, alone and behind the ids that notebooks name."""
    home.mkdir(parents=True, exist_ok=True)
    folder = tiny_model(home / "tiny")
    catalog = Catalog(home)
    verdict = Verdict(way=Way.PACKED, config=facts.digest(folder))
    catalog.register(folder, model_id=TINY, name="Tiny", context_length=CONTEXT_LENGTH, licence="none", verdict=verdict)
    for model_id in ALIASES:
        catalog.alias(model_id, TINY)
    return home


def eventually(holds: Callable[[], Any], *, within_s: float = PATIENCE_S) -> Any:
    """The first true value of `holds`, asked again and again."""
    deadline = time.monotonic() + within_s
    while not (value := holds()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return value


def pairs(count: int) -> bytes:
    """Records of prompt and completion."""
    lines = (json.dumps({"prompt": f"Question {n}: what is {n}?", "completion": f" It is {n}."}) for n in range(count))
    return "\n".join(lines).encode()
