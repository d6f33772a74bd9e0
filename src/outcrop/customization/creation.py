"""CreateCustomModel from what other trainers leave: an adapter or a whole network under a prefix, or in model.tar.gz.

The model's row is there at once, as Creating, and is the job that makes it: Active when it may be deployed, Failed with
the reason. Files first: while it is Creating, nothing of it can be used.
"""

from collections.abc import Mapping
from typing import Any

from outcrop import arn
from outcrop.catalog import model_files
from outcrop.catalog.custom_model_states import ModelStatus
from outcrop.customization import adopted
from outcrop.customization.rooms import Rooms
from outcrop.data import model_fetching
from outcrop.data.data import RoleData
from outcrop.jobs.running import RunningJob
from outcrop.keys import sealing
from outcrop.network.adapters.method import CONFIG_FILE

_UNKNOWN = "imported"
"Stands for the base of a model in an archive, until it is unpacked."


def document_of(house: Rooms, params: Mapping[str, Any], data: RoleData, uri: str, *, model_arn: str) -> dict[str, Any]:
    """The record of a model that will be made of what lies at `uri`. Raises Invalid where that can be no model."""
    records = model_fetching.look(data, uri)
    base_id, base_arn = _UNKNOWN, model_arn
    if model_files.is_adapter({name: record.size for name, record in records.items()}):
        config = model_fetching.read_small(data, records[CONFIG_FILE])
        base = house.catalog.usable(adopted.demand_base(config, house.catalog, called=f"{uri}/{CONFIG_FILE}").id)
        parsed = arn.parse(model_arn)
        assert parsed is not None
        base_id, base_arn = base.id, arn.foundation_model(parsed.region, base.full_id)
    return {
        "customizationType": adopted.IMPORTED,
        "baseId": base_id,
        "baseModelArn": base_arn,
        "foundationModelArn": base_arn,
        "roleArn": params["roleArn"],
        "source": uri,
    }


def make(house: Rooms, job: RunningJob) -> None:
    """The whole road from the files under the prefix to a model that may be deployed."""
    record = job.record
    document = record.document

    def told(words: str) -> None:
        job.check()
        job.report(words)

    data = house.data.under(document["roleArn"], source_arn=record.arn)
    with sealing.made_in_memory(house, document, record.arn, lease=job.number) as seal:
        place = (house.settings.runs / job.id if seal is None else seal.scratch) / "model"
        fetched = model_fetching.fetch_model(data, document["source"], place, told=told)
        found = adopted.look_at(fetched, house.catalog)
        found = adopted.with_tried_base(found, house.catalog)
        with adopted.memory_for(house.sharing, found, job):
            adopted.put_in_place(found, house.models.folder(record.arn), told=told, seal=seal)
    job.end(ModelStatus.ACTIVE, **found.document(record.region, source=document["source"]))
