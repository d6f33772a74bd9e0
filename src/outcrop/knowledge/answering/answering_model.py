"""The model that writes an answer from passages, or the extracts that stand in for one too small to answer."""

from dataclasses import dataclass, field

from outcrop import arn as arns
from outcrop.access.needs.named import Named
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid
from outcrop.invocation.target import Target, TextTarget, told_weights
from outcrop.knowledge.answering.answering import AnswerMode
from outcrop.network import headers

EXTRACTIVE_MODEL = "outcrop.extractive-v1"
"The id by which extracts are asked for; no model has it."
FEWEST_PARAMETERS = 300_000_000
"""Of a base model that is asked to write. Below, what comes of passages is seldom an answer; extracts are. A custom
model is always asked: it was made for something."""


@dataclass(frozen=True, kw_only=True)
class AnsweringModel:
    """The model that writes an answer, if one does."""

    target: TextTarget | None
    "None: the answer is extractive."
    weights: dict[str, str] = field(default_factory=dict)
    "The header that tells of weights that are not served as they are."


def is_extractive(arn: str) -> bool:
    """Whether the ARN of a model is that by which extracts are asked for."""
    parsed = arns.parse(arn)
    return parsed is not None and arn == arns.foundation_model(parsed.region, EXTRACTIVE_MODEL)


def extracting(answering: str | None) -> AnsweringModel:
    """The answering model of a question that asks for extracts by that id. Raises Invalid for a contradiction."""
    if answering == AnswerMode.GENERATIVE:
        raise Invalid(f"modelArn: {EXTRACTIVE_MODEL} writes nothing. Name a model, or ask for extractive answers.")
    return AnsweringModel(target=None)


def answering_model(thing: Named, target: TextTarget, answering: str | None) -> AnsweringModel:
    """The model to ask, which `thing` names. `answering`: extractive or generative, where the request says so."""
    if answering is None and isinstance(target, Target) and _is_small(thing.foundation):
        answering = AnswerMode.EXTRACTIVE
    if answering == AnswerMode.EXTRACTIVE:
        return AnsweringModel(target=None)
    return AnsweringModel(target=target, weights=told_weights(target))


def _is_small(foundation: object) -> bool:
    """Whether a base model has too few parameters to answer from passages; of a custom model it is not asked."""
    if not isinstance(foundation, BaseModel) or foundation.folder is None:
        return False
    return headers.num_parameters(foundation.folder) < FEWEST_PARAMETERS
