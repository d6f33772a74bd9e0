"""The usage of a completion on the wire: its tokens, and how many of them need not be read."""

from typing import Any


def usage(*, num_prompt: int, num_made: int, num_cached: int) -> dict[str, Any]:
    """The member `usage` of an answer, as vLLM and OpenAI have it."""
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": num_made,
        "total_tokens": num_prompt + num_made,
        "prompt_tokens_details": {"cached_tokens": num_cached},
    }


def num_cached_of(answer: dict[str, Any]) -> int:
    """The prompt tokens that need not be read, as an answer tells them; 0 where it does not."""
    details = (answer.get("usage") or {}).get("prompt_tokens_details") or {}
    return int(details.get("cached_tokens") or 0)
