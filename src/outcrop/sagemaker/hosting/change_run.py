"""A change of an endpoint, carried out: models made ready, processes started, and let in together.

What served before goes on until everything new answers. Where something does not, the endpoint keeps what it had.
"""

import logging
from collections.abc import Mapping

from outcrop import logs
from outcrop.errors import MachineTrouble, Refusal, Unavailable
from outcrop.jobs.running import RunningJob, StopRequested
from outcrop.sagemaker.hosting.endpoints import EndpointRecord
from outcrop.sagemaker.hosting.rooms import HostingRooms
from outcrop.sagemaker.hosting.starting import FleetStart
from outcrop.sagemaker.hosting.states import IN_CHANGE, ChangeStatus
from outcrop.store.damage import Damaged

_LONGEST_REASON = 1024
_log = logging.getLogger("outcrop.worker")


def run(house: HostingRooms, job: RunningJob) -> None:
    """Carry the change out, or note why it cannot be. Raises what ends the job or its worker."""
    document = job.record.document
    endpoint_arn, generation = document["endpointArn"], document["generation"]
    record = _wanted(house, endpoint_arn, generation)
    if record is None:
        return
    try:
        _Change(house, job, record).run()
    except Unavailable:
        raise  # it passes: the job waits, and goes on
    except (Refusal, MachineTrouble) as refused:
        reason = house.settings.hidden(refused.message)[:_LONGEST_REASON]
        logs.tell(_log, "endpoint cannot serve what was asked for", endpoint=endpoint_arn, reason=reason)
        house.endpoints.fail(endpoint_arn, generation, reason)
    else:
        house.endpoints.serve(endpoint_arn, generation)


def give_up(house: HostingRooms, job_arn: str) -> None:
    """Note the failure of a change that ended otherwise than by its own hand."""
    row = house.store.resources.row(job_arn)
    if row is None or row.status != ChangeStatus.FAILED or not row.is_sound:
        return
    document: Mapping[str, object] = row.resource().document
    reason = str(document.get("failureMessage") or "The change of the endpoint broke off.")[:_LONGEST_REASON]
    house.endpoints.fail(str(document["endpointArn"]), int(str(document["generation"])), reason)


def _wanted(house: HostingRooms, endpoint_arn: str, generation: int) -> EndpointRecord | None:
    """The endpoint, if this change of it is still asked for."""
    try:
        record = house.endpoints.get(endpoint_arn)
    except Damaged:
        return None
    if record is None or record.generation != generation or record.status not in IN_CHANGE:
        return None
    return record


class _Change:
    """A change of one endpoint, as it is carried out."""

    def __init__(self, house: HostingRooms, job: RunningJob, record: EndpointRecord) -> None:
        self._house = house
        self._job = job
        self._record = record

    def run(self) -> None:
        """Return once everything that is asked for serves. Raises Refusal, and MachineTrouble, where it cannot."""
        starts = [
            FleetStart(
                house=self._house,
                job=self._job,
                fleet=variant.fleet,
                region=self._record.row.region,
                variant=variant.name,
                asked=self._record.row.updated,
                check=self._check,
            )
            for variant in self._record.desired.variants
            if variant.fleet is not None
        ]
        for start in starts:
            start.make_ready()
        for start in starts:
            start.wait()

    def _check(self) -> None:
        self._job.check()
        if _wanted(self._house, self._record.row.arn, self._record.generation) is None:
            raise StopRequested(f"{self._record.row.arn}: nobody asks for this change any more.")
