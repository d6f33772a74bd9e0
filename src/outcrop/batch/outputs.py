"""The output of a batch job in S3: a file of results for each input file, and a manifest.

OUTPUT/JOB/NAME.jsonl.out       NAME as it is below the input's prefix
OUTPUT/JOB/manifest.json.out    the counts, in one line
"""

import json

from outcrop.batch.counts import BatchCounts
from outcrop.batch.inputs import InputPlan, RunFolder
from outcrop.batch.progress import FileProgress, ResultFile
from outcrop.data.data import RoleData
from outcrop.errors import Refusal
from outcrop.jobs.full_disk import is_passing

_LINES = "application/jsonlines"
MANIFEST = "manifest.json.out"


class Outputs:
    """The output of one job."""

    def __init__(self, data: RoleData, uri: str, job_id: str, run: RunFolder) -> None:
        self._data = data
        self._place = f"{uri.rstrip('/')}/{job_id}"
        self._run = run
        self.unsent: list[str] = []
        "Why files could not be written."

    def progress(self, number: int) -> FileProgress:
        """How far the results of a file reach."""
        if not self._run.output(number).exists():
            return FileProgress()
        results = ResultFile(self._run.output(number))
        results.close()
        return results.progress

    def send(self, number: int, name: str) -> None:
        """Write the results of a file to S3, unless that was done. What is refused is kept in `unsent`."""
        sent = self._run.output(number).with_suffix(".sent")
        if sent.exists():
            return
        try:
            self._data.put_file(f"{self._place}/{name}.out", self._run.output(number), content_type=_LINES)
        except Refusal as refused:
            if is_passing(refused):
                raise
            self.unsent.append(refused.message)
            return
        sent.touch()

    def send_rest(self, plan: InputPlan) -> None:
        """Write the results of all files that have some, whole or not."""
        for number, file in enumerate(plan.files):
            progress = self.progress(number)
            if progress.records or progress.is_whole:
                self.send(number, file.name)

    def send_manifest(self, counts: BatchCounts) -> None:
        """Write the counts to S3. What is refused is kept in `unsent`."""
        try:
            content = json.dumps(counts.manifest()).encode()
            self._data.put(f"{self._place}/{MANIFEST}", content, content_type="application/json")
        except Refusal as refused:
            if is_passing(refused):
                raise
            self.unsent.append(refused.message)
