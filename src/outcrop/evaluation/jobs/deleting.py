"""The deletion of evaluation jobs that have ended; what they wrote to S3 stays."""

from outcrop import arn as arns
from outcrop.errors import Conflict, NotFound
from outcrop.evaluation.jobs.kind import KIND
from outcrop.evaluation.jobs.rooms import EvaluationRooms


def delete(house: EvaluationRooms, job_arn: str, *, region: str) -> None:
    """Remove a job of this region from the records. Raises NotFound, and Conflict for one that has not ended."""
    with house.store.transaction():
        row = house.store.resources.row(job_arn)
        parsed = arns.parse(job_arn)
        if row is None or row.kind != KIND.name or parsed is None or parsed.region != region:
            raise NotFound(f"The evaluation job {job_arn} was not found.")
        if row.status not in KIND.lifecycle.ended:
            raise Conflict(
                f"The evaluation job {row.name} is {row.status}. Stop it first, and delete it when it is Stopped."
            )
        house.jobs.forget(job_arn)
