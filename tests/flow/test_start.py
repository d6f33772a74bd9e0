"""The server starts without the workshops: what it imports, and that it answers and stops as a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.patience import PATIENCE_S
from tests.support.servers import free_port, wait_until_up

HEAVY = ("torch", "transformers", "peft", "safetensors", "cyclopts")


def test_the_server_imports_nothing_of_the_workshops() -> None:
    script = f"import sys, outcrop.server.serve; print([name for name in {HEAVY} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_server_answers_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "outcrop.server.serve", "--home", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        endpoint = f"http://127.0.0.1:{port}"
        wait_until_up(endpoint, lambda: server.poll() is None)
        assert httpx.get(f"{endpoint}/health").json()["status"] == "ok"
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=PATIENCE_S) == 0
