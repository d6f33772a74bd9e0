"""A Python environment that has vLLM, as far as its launcher can tell: an interpreter, a version, and its server."""

import shutil
import sys
from pathlib import Path

SERVER = Path(__file__).parent / "vllm_server.py"
VERSION = "0.33.0"


def vllm_environment(folder: Path, distribution: str = "vllm") -> Path:
    """The path of the environment's interpreter; builds for processors are distributed under names of their own."""
    package = folder / "site" / "vllm" / "entrypoints" / "openai"
    package.mkdir(parents=True)
    for part in (package, package.parent, package.parent.parent):
        (part / "__init__.py").touch()
    shutil.copy(SERVER, package / "api_server.py")
    described = folder / "site" / f"{distribution.replace('-', '_')}-{VERSION}.dist-info"
    described.mkdir()
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {VERSION}\n")
    (described / "top_level.txt").write_text("vllm\n")
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{folder / "site"}" "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    return python
