"""The server starts without the workshops: what it imports, and that it answers and stops as a process of its own."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.support.servers import server_process

HEAVY = ("torch", "transformers", "peft", "safetensors", "cyclopts", "prometheus_client")


def test_the_server_imports_nothing_of_the_workshops() -> None:
    script = f"import sys, outcrop.server.serve; print([name for name in {HEAVY} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_server_answers_and_stops_when_told(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server:
        assert httpx.get(f"{server.endpoint}/health").json()["status"] == "ok"
        assert server.stop() == 0
