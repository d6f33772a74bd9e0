"""The servers that are measured: ours, moto's, one that echoes, and one that only takes."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.config import Config

from bench.load import free_port, wait_for

ECHO = """
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
BODY = b"x" * {size}
async def echo(request):
    return Response(BODY, media_type="application/json")
app = Starlette(routes=[Route("/{{rest:path}}", echo)])
"""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A server that speaks AWS, or takes what is meant for one."""

    endpoint: str
    key_id: str
    secret: str
    process: psutil.Process

    def client(self, service: str, **s3: Any) -> Any:
        """boto3's client as it comes, but for `s3`: settings of that name."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=600, s3={"addressing_style": "path"} | s3),
        )


@contextmanager
def our_door(home: Path, database_url: str = "") -> Iterator[Door]:
    port = free_port()
    environment = os.environ | {"OUTCROP_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "outcrop.server.serve", "--home", str(home), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(f"{endpoint}/health")
        shown = subprocess.run(
            [sys.executable, "-m", "outcrop.cli.app", "env", "--home", str(home)],
            capture_output=True,
            text=True,
            check=True,
            env=environment,
        ).stdout
        given = dict(
            line.removeprefix("export ").split("=", 1) for line in shown.splitlines() if line.startswith("export ")
        )
        try:
            yield Door(
                endpoint=endpoint,
                key_id=given["AWS_ACCESS_KEY_ID"].strip("'\""),
                secret=given["AWS_SECRET_ACCESS_KEY"].strip("'\""),
                process=psutil.Process(process.pid),
            )
        finally:
            process.terminate()


@contextmanager
def moto_door(python: Path) -> Iterator[Door]:
    port = free_port()
    command = [str(python.parent / "moto_server"), "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(f"{endpoint}/moto-api/")
        try:
            yield Door(endpoint=endpoint, key_id="testing", secret="testing", process=psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def sink_door() -> Iterator[Door]:
    port = free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.sink", "--port", str(port)]) as process:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(endpoint)
        try:
            yield Door(endpoint=endpoint, key_id="none", secret="none", process=psutil.Process(process.pid))
        finally:
            process.terminate()


@contextmanager
def echo_server(python: Path, size: int) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "echo.py").write_text(ECHO.format(size=size))
        port = free_port()
        command = [
            str(python.parent / "granian"),
            "--interface",
            "asgi",
            "--port",
            str(port),
            "--no-access-log",
            "echo:app",
        ]
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            wait_for(f"http://127.0.0.1:{port}/")
            try:
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()
