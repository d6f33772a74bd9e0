"""The limits that AWS publishes for data of Bedrock's model customization, by model and type.

Amazon Bedrock user guide, "Model customization" and "Quotas", and the data validators of aws-samples, as of 2026-11.
Limits of models that are no longer offered are the last that were published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

GB, MB = 1024**3, 1024**2


class BedrockForm(StrEnum):
    """The forms of a record that Bedrock reads."""

    PAIR = '{"prompt": "<input text>", "completion": "<output text>"}'
    TEXT = '{"input": "<input text>"}'
    CLAUDE = '{"system": "…", "messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
    CONVERSE = '{"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "…"}], "messages": […]}'
    REINFORCEMENT = '{"messages": [{"role": "user", "content": "…"}], "reference_answer": …}'


@dataclass(frozen=True, kw_only=True)
class BedrockLimits:
    """The limits of one model for one customization type. None: none is published."""

    form: BedrockForm
    most_sum: int | None
    "Tokens of a record's input and output together."
    most_input: int | None = None
    most_output: int | None = None
    least_train: int = 1
    most_train: int | None = None
    least_validation: int = 1
    most_validation: int | None = None
    most_records: int | None = None
    "Training and validation together."
    most_train_bytes: int | None = None
    most_validation_bytes: int | None = None
    letters_per_token: int = 6
    "With which AWS tells users to estimate; no tokenizer of these models is published."
    reserved: tuple[str, ...] = ()
    "Words that no text may contain."
    media: tuple[str, ...] = ()
    "Blocks beside text that user turns may have."


_NOVA_RESERVED = (
    "System:", "SYSTEM:", "User:", "USER:", "Bot:", "BOT:", "Assistant:", "ASSISTANT:", "Thought:", "[EOS]", "<image>",
    "<video>",
)  # fmt: skip


def _titan(most_records: int, form: BedrockForm = BedrockForm.PAIR, most_sum: int = 4096) -> BedrockLimits:
    return BedrockLimits(
        form=form,
        most_sum=most_sum,
        most_input=most_sum,
        most_output=most_sum,
        most_records=most_records,
        most_train_bytes=GB,
        most_validation_bytes=100 * MB,
    )


def _llama(form: BedrockForm, most_sum: int, media: tuple[str, ...] = ()) -> BedrockLimits:
    return BedrockLimits(form=form, most_sum=most_sum, least_train=100, most_records=10_000, media=media)


def _nova(media: tuple[str, ...]) -> BedrockLimits:
    return BedrockLimits(
        form=BedrockForm.CONVERSE,
        most_sum=32_000,
        least_train=8,
        most_train=20_000,
        most_records=20_000,
        reserved=_NOVA_RESERVED,
        media=media,
    )


_COHERE = BedrockLimits(
    form=BedrockForm.PAIR,
    most_sum=None,
    most_input=4096,
    most_output=2048,
    least_train=32,
    most_train=10_000,
    most_validation=1_000,
)
_CLAUDE = BedrockLimits(
    form=BedrockForm.CLAUDE,
    most_sum=32_000,
    least_train=32,
    most_train=10_000,
    least_validation=32,
    most_validation=1_000,
    most_records=10_000,
    most_train_bytes=10 * GB,
    most_validation_bytes=GB,
    letters_per_token=3,  # of its own validator
    reserved=("\nHuman:", "\nAssistant:"),
)
_FINE_TUNING = {
    "amazon.titan-text-premier": _titan(20_000),
    "amazon.titan-text-express": _titan(10_000),
    "amazon.titan-text-lite": _titan(10_000),
    "amazon.nova-micro": _nova(()),
    "amazon.nova-lite": _nova(("image", "video")),
    "amazon.nova-pro": _nova(("image", "video")),
    "amazon.nova-2-lite": _nova(("image", "video")),
    "anthropic.claude-3-haiku": _CLAUDE,
    "cohere.command": _COHERE,
    "meta.llama2": BedrockLimits(form=BedrockForm.PAIR, most_sum=4096, most_records=10_000),
    "meta.llama3-1": _llama(BedrockForm.PAIR, 16_000),
    "meta.llama3-2-1b": _llama(BedrockForm.CONVERSE, 16_000),
    "meta.llama3-2-3b": _llama(BedrockForm.CONVERSE, 16_000),
    "meta.llama3-2-11b": _llama(BedrockForm.CONVERSE, 16_000, ("image",)),
    "meta.llama3-2-90b": _llama(BedrockForm.CONVERSE, 10_000, ("image",)),
    "meta.llama3-3": _llama(BedrockForm.CONVERSE, 16_000),
}
_CONTINUED = {
    "amazon.titan-text-express": _titan(100_000, BedrockForm.TEXT),
    "amazon.titan-text-lite": _titan(100_000, BedrockForm.TEXT),
}
_REINFORCEMENT = {
    prefix: BedrockLimits(form=BedrockForm.REINFORCEMENT, most_sum=None, most_train=20_000)
    for prefix in ("amazon.nova-2-lite", "openai.gpt-oss-20b", "qwen.qwen3-32b")
}
LIMITS: Mapping[str, Mapping[str, BedrockLimits]] = {
    "FINE_TUNING": _FINE_TUNING,
    "CONTINUED_PRE_TRAINING": _CONTINUED,
    "REINFORCEMENT_FINE_TUNING": _REINFORCEMENT,
}
"By customization type, and by how the ids of models begin."

EXAMPLES = {
    BedrockForm.PAIR: "amazon.titan-text-express",
    BedrockForm.TEXT: "amazon.titan-text-express",
    BedrockForm.CLAUDE: "anthropic.claude-3-haiku",
    BedrockForm.CONVERSE: "amazon.nova-lite",
    BedrockForm.REINFORCEMENT: "amazon.nova-2-lite",
}
"The model whose limits are taken where none is named, by the form of the records."

_FEWER_WITH_BATCHES = {"amazon.titan-text-express": 1, "amazon.titan-text-lite": 2}
"Batch sizes up to which Titan takes 4,096 tokens; larger ones leave 2,048."


def limits_of(prefix: str, customization: str, *, batch_size: int = 1) -> BedrockLimits:
    """The limits of a model of the table."""
    limits = LIMITS[customization][prefix]
    if batch_size > _FEWER_WITH_BATCHES.get(prefix, batch_size):
        return _titan(limits.most_records or 0, limits.form, 2048)
    return limits


def prefix_of(model_id: str, customization: str) -> str | None:
    """The table's name for a model, None for one that Bedrock does not customize so."""
    known = LIMITS[customization]
    return max((prefix for prefix in known if model_id.startswith(prefix)), key=len, default=None)
