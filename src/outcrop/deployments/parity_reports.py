"""Reports of the parity gate, each kept in the record of its deployment until it is measured again."""

from typing import TYPE_CHECKING, Any

from outcrop.deployments.precision import precision_of
from outcrop.deployments.states import WAITING
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

if TYPE_CHECKING:
    from outcrop.deployments.parity import Parity

MEMBER = "parity"
MEASURED = ("modelArn", "tokens", "largestDifference", "largestMeanDifference", "tolerance", "failure")
"The members of a report that the gate measured."


def to_document(parity: "Parity", model_arn: str) -> dict[str, Any]:
    """The members of a deployment's document that keep a report."""
    return {
        MEMBER: {
            "modelArn": model_arn,
            "tokens": parity.num_tokens,
            "largestDifference": parity.largest_difference,
            "largestMeanDifference": parity.largest_mean,
            "tolerance": parity.tolerance,
            "failure": parity.failure,
        }
    }


def report_of(row: Resource) -> dict[str, Any] | None:
    """The report of a deployment's last gate, as JSON; None where none was held. Raises Damaged.

    Differences are of log probabilities, in nats, between the engine and the trainer.
    """
    with understood(row.arn):
        kept = row.document.get(MEMBER)
        if kept is None:
            return None
        return {"deploymentArn": row.arn, "name": row.name, "weights": precision_of(row).value, **kept}


def why_none(row: Resource) -> str:
    """A sentence about a deployment without a report."""
    if row.status in WAITING:
        return f"{row.name} is still being made. Ask again when it serves."
    return f"{row.name} serves a base model, or was made by an older program; nothing was compared."
