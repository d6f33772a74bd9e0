"""The server is killed while clients upload; what it had acknowledged is whole when it comes back."""

import hashlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.access.access import Access
from outcrop.clock import SystemClock
from outcrop.settings import Settings
from outcrop.store.store import Store

BUCKET = "books"
CLIENTS = 3


def start(settings: Settings) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "outcrop.server.serve"]
    process = subprocess.Popen(
        [*command, "--home", str(settings.home), "--port", str(settings.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{settings.endpoint}/health", timeout=5).close()
            return process
        except OSError:
            assert process.poll() is None, "the server ended at its start"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.05)


def client(settings: Settings) -> Any:
    store = Store.open(settings)
    keys = Access.open(store, settings, SystemClock()).installation
    store.close()
    return boto3.client(
        "s3",
        endpoint_url=settings.endpoint,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 0}),
    )


def upload_until_cut(s3: Any, worker: int, acknowledged: dict[str, str]) -> None:
    number = 0
    while True:
        body = hashlib.shake_128(f"{worker}/{number}".encode()).digest(300_000)
        try:
            s3.put_object(Bucket=BUCKET, Key=f"{worker}/{number}", Body=body)
        except (BotoCoreError, ClientError):
            return
        acknowledged[f"{worker}/{number}"] = hashlib.sha256(body).hexdigest()
        number += 1


def test_a_killed_server_has_kept_every_object_that_it_acknowledged(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        settings = Settings(home=tmp_path / "home", port=probe.getsockname()[1])
    server = start(settings)
    s3 = client(settings)
    s3.create_bucket(Bucket=BUCKET)
    acknowledged: dict[str, str] = {}

    uploads = [threading.Thread(target=upload_until_cut, args=(s3, worker, acknowledged)) for worker in range(CLIENTS)]
    for upload in uploads:
        upload.start()
    while len(acknowledged) < 5 * CLIENTS:
        time.sleep(0.005)
    server.send_signal(signal.SIGKILL)
    server.wait()
    for upload in uploads:
        upload.join()

    server = start(settings)
    try:
        keys = [
            entry["Key"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            for entry in page.get("Contents", [])
        ]
        assert set(keys) >= set(acknowledged)
        for key in keys:  # also those whose answer was lost are whole
            worker, number = key.split("/")
            body = hashlib.shake_128(f"{worker}/{number}".encode()).digest(300_000)
            assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == body
    finally:
        s3.close()
        server.terminate()
        server.wait(timeout=30)
