"""CountTokens: how many tokens a request has, by the very encoding that would serve it."""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import prompts
from outcrop.invocation.converse import read_converse
from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.schema import read_json
from outcrop.invocation.target import RemoteTarget, TextTarget


async def count_tokens(target: TextTarget, source: Mapping[str, Any]) -> int:
    """Tokens of CountTokens' `input`: a body of InvokeModel, or a request of Converse."""
    if isinstance(target, RemoteTarget):
        raise Invalid(
            f"The tokens of {target.model_id} cannot be counted: it is a remote model, whose server tells them with "
            "each answer."
        )
    if "invokeModel" in source:
        body = read_json(source["invokeModel"]["body"])
        asked = choose(target.dialect, body).read(body)
    elif "converse" in source:
        asked = read_converse(target, source["converse"])
    else:
        raise Invalid("input: neither invokeModel nor converse is there. Give one of them.")
    return len(await prompts.aside(asked.prompt, lambda: prompts.encode(target, asked.prompt)))
