"""The parts of a conversation that a chat template leaves out, so that they are neither learned nor served."""

from outcrop.datasets.records import Conversation
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer

SYSTEM = "system messages"
EARLIER = "earlier turns"
THOUGHTS = "thoughts of earlier answers"
_THOUGHT_END = "</think>"


def of_record(record: Conversation, tokenizer: Tokenizer) -> list[str]:
    """The kinds of words of this record that the template does not write."""
    habits = prompt_format.chat_habits(tokenizer)
    earlier = record.messages[:-2]
    thoughts = any(turn["role"] == "assistant" and _THOUGHT_END in turn["content"] for turn in earlier)
    left = {
        SYSTEM: bool(record.system) and habits.system == "left out",
        EARLIER: bool(earlier) and not habits.keeps_earlier_turns,
        THOUGHTS: thoughts and habits.keeps_earlier_turns and not habits.keeps_earlier_thoughts,
    }
    return [what for what, is_left in left.items() if is_left]
