"""Jobs on a disk of their own that is full for a while. Run as a program in a mount namespace; prints what became of them.

unshare --mount python -m tests.support.full_disk FOLDER "" "validating" "step 3" …
"""

import hashlib
import json
import logging
import subprocess
import sys
from pathlib import Path

from outcrop.jobs import full_disk
from tests.support.homes import with_tiny_models
from tests.support.job_house import JobHouse

FILLER = "filler"


class Person(logging.Handler):
    """Makes room when told that the job waits for it."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home
        self.asked = 0

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() == "disk full":
            self.asked += 1
            (self._home / FILLER).unlink(missing_ok=True)


def fill(home: Path) -> None:
    """Take all that is left."""
    with (home / FILLER).open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            pass


def run(house: JobHouse, person: Person, name: str, moment: str) -> dict[str, object]:
    """What is left of a job during which the disk is full from `moment` on."""
    job = house.create(name)
    waiting = [moment]
    asked = person.asked

    def report(words: str) -> None:
        if words in waiting:
            waiting.clear()
            fill(house.settings.home)

    house.work(job, report=report)
    row = house.context.jobs.get(job)
    adapter = house.context.models.folder(row.document["modelArn"]) / "adapter_model.safetensors"
    return {
        "status": row.status,
        "failure": row.document.get("failureMessage"),
        "waited": person.asked - asked,
        "weights": hashlib.sha256(adapter.read_bytes()).hexdigest() if adapter.is_file() else None,
        "steps": house.training_csv(job)["step_number"].tolist(),
    }


if __name__ == "__main__":
    home = Path(sys.argv[1])
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(home)], check=True)
    full_disk.PAUSE_S = 0.2
    opened = JobHouse(with_tiny_models(home))
    watching = Person(home)
    logging.getLogger("outcrop.worker").addHandler(watching)
    print(json.dumps([run(opened, watching, f"job-{number}", moment) for number, moment in enumerate(sys.argv[2:])]))
