"""The places that still hold forgotten records once a model was trained again: they are named, and nobody deletes them.

Forgetting takes records out of one model. Their data, the model that learned them, its checkpoints, and what was made
from it stay until their owner deletes them or forgets there too.
"""

from collections.abc import Mapping
from typing import Any

from outcrop.catalog.custom_model_states import KIND
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.forgetting.plan import ForgettingPlan
from outcrop.store.store import Store


def lines(plan: ForgettingPlan, successor: FamilyMember, family: ModelFamily, store: Store) -> list[str]:
    """Places and models that still know the records, each with what to do about it.

    `successor` is the model that forgot them.
    """
    told = []
    for step in plan.steps:
        told += [
            f"the data {dataset.source.uri}: take them out there"
            for dataset in step.datasets
            if step.forgotten[dataset.part]
        ]
        told.append(f"{step.member.name}: the model that learned them, to be deleted (DeleteCustomModel)")
        output = _output(step.member.told)
        told.append(f"its checkpoints, its lineage and the report that shows records, below {output}/")
        copies = (row for row in store.resources.all(KIND) if _source(row.document).startswith(output))
        told += [f"{row.name or row.arn}: imported from one of these checkpoints, to be deleted" for row in copies]
    for child in family.children(plan.member):
        again = f"outcrop forget {child.name} --like {successor.name}"
        told.append(f"{child.name}: trained from {plan.member.name}, to be trained again: {again}")
    return told


def _output(told: Mapping[str, Any]) -> str:
    """The folder of a model's job in its output bucket."""
    job = told["jobArn"].rsplit("/", 1)[-1]
    return f"{told['outputDataConfig']['s3Uri'].rstrip('/')}/model-customization-job-{job}"


def _source(document: Mapping[str, Any]) -> str:
    return str(document.get("source", ""))
