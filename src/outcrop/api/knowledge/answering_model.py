"""The model that a request of RetrieveAndGenerate names, for its caller and on the call's account."""

from dataclasses import replace
from typing import TYPE_CHECKING

from outcrop.access.needs.knowledge import ANSWERING
from outcrop.api.bedrock import model_keys
from outcrop.api.bedrock.named import look
from outcrop.api.door.call import Call
from outcrop.api.door.leaving import accounted
from outcrop.knowledge.answering import answering_model as models
from outcrop.knowledge.answering.answering import AnswerMode
from outcrop.knowledge.answering.answering_model import AnsweringModel

if TYPE_CHECKING:
    from outcrop.house import House

HEADER = "x-outcrop-answering"
"Tells who wrote the answer: generative, or extractive where nobody did."


def answering_model(house: "House", call: Call, model_id: str, answering: str | None) -> AnsweringModel:
    """The model to ask. `answering`: extractive or generative, where the request says so.

    Raises as an invocation does for a model that is not there, not ready, or writes no text.
    """
    thing = house.access.named(call, ANSWERING)
    if models.is_extractive(thing.arn):
        return models.extracting(answering)
    target = house.targets.resolve(model_id, thing, look(house, call, ANSWERING), caller=call.caller)
    model_keys.allowed(house, call, target)
    found = models.answering_model(thing, target, answering)
    return found if found.target is None else replace(found, target=accounted(found.target, call))


def headers_of(model: AnsweringModel, mode: AnswerMode) -> dict[str, str]:
    """The headers of an answer that was made so."""
    return {HEADER: mode.value, **(model.weights if mode is AnswerMode.GENERATIVE else {})}
