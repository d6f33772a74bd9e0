"""The model that a request of RetrieveAndGenerate names, or the extracts that stand in for one too small to answer."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outcrop import arn as arns
from outcrop.access.needs.knowledge import ANSWERING
from outcrop.api.bedrock.named import look
from outcrop.api.door.call import Call
from outcrop.api.door.leaving import accounted
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid
from outcrop.invocation.target import Target, TextTarget, told_weights
from outcrop.knowledge.answering.answering import AnswerMode
from outcrop.network import headers

if TYPE_CHECKING:
    from outcrop.house import House

EXTRACTIVE_MODEL = "outcrop.extractive-v1"
"The id by which extracts are asked for; no model has it."
FEWEST_PARAMETERS = 300_000_000
"""Of a base model that is asked to write. Below, what comes of passages is seldom an answer; extracts are. A custom
model is always asked: it was made for something."""
HEADER = "x-outcrop-answering"
"Tells who wrote the answer: generative, or extractive where nobody did."


@dataclass(frozen=True, kw_only=True)
class AnsweringModel:
    """The model that writes an answer, if one does."""

    target: TextTarget | None
    "None: the answer is extractive."
    weights: dict[str, str] = field(default_factory=dict)
    "The header that tells of weights that are not served as they are."

    def headers(self, mode: AnswerMode) -> dict[str, str]:
        """The headers of an answer that was made so."""
        return {HEADER: mode.value, **(self.weights if mode is AnswerMode.GENERATIVE else {})}


def answering_model(house: "House", call: Call, model_id: str, answering: str | None) -> AnsweringModel:
    """The model to ask. `answering`: extractive or generative, where the request says so.

    Raises as an invocation does for a model that is not there, not ready, or writes no text.
    """
    thing = house.access.named(call, ANSWERING)
    if thing.arn == arns.foundation_model(call.region, EXTRACTIVE_MODEL):
        if answering == AnswerMode.GENERATIVE:
            raise Invalid(f"modelArn: {EXTRACTIVE_MODEL} writes nothing. Name a model, or ask for extractive answers.")
        return AnsweringModel(target=None)
    target = house.targets.resolve(model_id, thing, look(house, call, ANSWERING), caller=call.caller)
    if answering is None and isinstance(target, Target) and _is_small(thing.foundation):
        answering = AnswerMode.EXTRACTIVE
    if answering == AnswerMode.EXTRACTIVE:
        return AnsweringModel(target=None)
    return AnsweringModel(target=accounted(target, call), weights=told_weights(target))


def _is_small(foundation: object) -> bool:
    """Whether a base model has too few parameters to answer from passages; of a custom model it is not asked."""
    if not isinstance(foundation, BaseModel) or foundation.folder is None:
        return False
    return headers.num_parameters(foundation.folder) < FEWEST_PARAMETERS
