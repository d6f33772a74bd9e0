"""Guardrails on record: their kinds, states and limits."""

from enum import StrEnum

KIND, VERSION = "guardrail", "guardrail-version"
DRAFT = "DRAFT"
"The version that is worked on."
JUDGE_TAG, ENCODER_TAG = "outcrop:guardrail-judge", "outcrop:guardrail-encoder"
"Tags of a guardrail that name the models which it asks."
MOST_GUARDRAILS, MOST_VERSIONS = 100, 20


class GuardrailStatus(StrEnum):
    """The one state of a guardrail here, of those in Bedrock's model: it is checked when it is made."""

    READY = "READY"
