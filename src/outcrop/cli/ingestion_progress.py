"""An ingestion job until it ends, with a bar where there is a terminal to show it on."""

import sys
import time
from collections.abc import Mapping
from typing import Any

ENDED = ("COMPLETE", "FAILED", "STOPPED")
_LOOK_S = 0.3


def followed(agent: Any, job: Mapping[str, Any], num_documents: int, *, name: str, quiet: bool) -> Mapping[str, Any]:
    """The job once it has ended. Whoever presses Ctrl-C is told that it goes on."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    ids = {member: job[member] for member in ("knowledgeBaseId", "dataSourceId", "ingestionJobId")}
    with Progress(*columns, transient=True, disable=quiet or not sys.stdout.isatty()) as bar:
        task = bar.add_task("documents", total=num_documents)
        try:
            while job["status"] not in ENDED:
                time.sleep(_LOOK_S)
                job = agent.get_ingestion_job(**ids)["ingestionJob"]
                bar.update(task, completed=job["statistics"]["numberOfDocumentsScanned"])
        except KeyboardInterrupt:
            bar.stop()
            print(f"\nThe ingestion goes on. See it with: outcrop knowledge status {name}", file=sys.stderr)
            raise
    return job
