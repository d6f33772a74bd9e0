"""A server alone, as a process of its own on a free port."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import Credentials
from outcrop.house import House

from outcrop.clock import SystemClock
from outcrop.settings import Settings
from tests.support.patience import PATIENCE_S
from tests.support.servers import free_port, wait_until_up


@dataclass(frozen=True, kw_only=True)
class ServerProcess:
    endpoint: str
    credentials: Credentials
    process: "subprocess.Popen[bytes]"

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.credentials.access_key,
            aws_secret_access_key=self.credentials.secret_key,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextmanager
def server_process(home: Path) -> Iterator[ServerProcess]:
    settings = Settings(home=home, port=free_port())
    platform = House.open(settings, SystemClock())
    installation = platform.access.installation
    platform.store.close()
    command = [sys.executable, "-m", "outcrop.server.serve", "--home", str(home), "--port", str(settings.port)]
    with (home / "server.out").open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            wait_until_up(settings.endpoint, lambda: process.poll() is None)
            credentials = Credentials(installation.access_key_id, installation.secret_access_key)
            yield ServerProcess(endpoint=settings.endpoint, credentials=credentials, process=process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=PATIENCE_S)
