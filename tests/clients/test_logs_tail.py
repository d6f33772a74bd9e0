"""The log of a training job, followed while it runs: by the AWS CLI 2 where there is one, and by a program like it."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.sandboxes import needs_sandbox
from tests.support.servers import Installed, installed
from tests.support.training_programs import TrainingJobs, name_environment

pytestmark = needs_sandbox
GROUP = "/aws/sagemaker/TrainingJobs"
FOLLOWER = Path(__file__).parent / "programs" / "logs_follow.py"
SCRIPT = (
    "import time\nfor step in range(30):\n    print(f'step {step}', flush=True)\n    time.sleep(0.2)\nprint('over')"
)


def _cli() -> str | None:
    """The AWS CLI of version 2; version 1 has no `logs tail`."""
    for found in (os.environ.get("OUTCROP_TEST_AWS2"), shutil.which("aws")):
        if found:
            told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
            if told.stdout.startswith("aws-cli/2"):
                return found
    return None


OPTIONS = ("--color", "off", "--follow", "--format", "short", "--log-stream-name-prefix")


def command(who: str, house: Installed, prefix: str) -> list[str]:
    if who == "program":
        return [sys.executable, str(FOLLOWER), GROUP, prefix]
    # Its releases before 2.13 know the endpoint by this option alone.
    return [_cli() or "", "logs", "tail", GROUP, "--endpoint-url", house.endpoint, *OPTIONS, prefix]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    home = tmp_path_factory.mktemp("tail") / "home"
    name_environment(home)
    with installed(home) as house:
        yield house


@pytest.fixture(scope="module")
def jobs(house: Installed) -> TrainingJobs:
    jobs = TrainingJobs(house, house.role)
    jobs.run("before", "print('over')")  # the group is there
    return jobs


@pytest.mark.parametrize("who", ["program", "cli"])
def test_the_log_of_a_running_job_is_followed_line_by_line(who: str, house: Installed, jobs: TrainingJobs) -> None:
    if who == "cli" and _cli() is None:
        pytest.skip("there is no AWS CLI of version 2: name one with OUTCROP_TEST_AWS2")
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {**house.environment, "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    jobs.start(f"followed-{who}", SCRIPT)
    asked = command(who, house, f"followed-{who}/")
    told = followed(asked, environment)
    assert [line.partition("step ")[2] for line in told if "step " in line] == [str(step) for step in range(30)], told
    assert told[-1].endswith("over")


def followed(asked: list[str], environment: dict[str, str]) -> list[str]:
    """The lines that a command shows on a terminal until the job's last one; then it is ended."""
    reading, writing = os.openpty()  # into a pipe, the CLI writes only when a buffer is full
    told: list[str] = []
    with subprocess.Popen(asked, env=environment, stdout=writing, stderr=writing) as tail, open(reading) as shown:
        os.close(writing)
        limit = threading.Timer(PATIENCE_S, tail.kill)
        limit.start()
        with suppress(OSError):  # a terminal whose other end has gone
            for line in shown:
                told.append(line.strip())
                if told[-1].endswith("over"):
                    tail.terminate()  # an interrupt is ignored below a shell's background
        limit.cancel()
    return told
