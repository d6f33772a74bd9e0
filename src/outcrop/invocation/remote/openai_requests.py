"""Invocations as bodies of OpenAI's protocol.

What changes nothing is left out, for servers refuse what they do not know:
https://platform.openai.com/docs/api-reference/chat/create
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.catalog.remote_model import RemoteModel
from outcrop.errors import Invalid
from outcrop.invocation.exchange import (
    ANY,
    AUTO,
    NONE,
    ONE,
    ChatPrompt,
    Grammar,
    InvocationRequest,
    JsonObject,
    JsonSchema,
    RawPrompt,
    SamplingOptions,
    TokensPrompt,
    Tool,
)

Json = dict[str, Any]
CHAT, COMPLETIONS = "/chat/completions", "/completions"
OLDER_LIMIT, NEWER_LIMIT = "max_tokens", "max_completion_tokens"
"Names of the same field: OpenAI's newer models refuse the older one, most other servers know no other."
_NEUTRAL = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)
_NUMBERS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty")
_CHOICES = {ANY: "required", NONE: "none"}


class RemoteRequest(NamedTuple):
    """The path below a server's URL, and the body that is posted there."""

    path: str
    body: Json


def request_of(remote: RemoteModel, asked: InvocationRequest, *, limit: str, stream: bool) -> RemoteRequest:
    """The request that puts an invocation; `limit` is the server's name for the most tokens of an answer.

    Raises Invalid for what the protocol has no words for.
    """
    if isinstance(asked.prompt, TokensPrompt):
        raise no_ids()
    raw = isinstance(asked.prompt, RawPrompt) and remote.completes
    body: Json = {"model": remote.model, **_sampling(asked.sampling, limit, raw=raw), **_form(asked)}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if isinstance(asked.prompt, ChatPrompt):
        return RemoteRequest(CHAT, body | {"messages": _messages(asked.prompt), **_tools(asked.prompt)})
    if raw:
        return RemoteRequest(COMPLETIONS, body | {"prompt": asked.prompt.text})
    return RemoteRequest(CHAT, body | {"messages": [{"role": "user", "content": asked.prompt.text}]})


def no_ids() -> Invalid:
    """The refusal of a prompt in token ids, which mean something to one tokenizer alone."""
    return Invalid("This model is remote: token ids of a prompt mean nothing to its server. Send the prompt as text.")


def _sampling(sampling: SamplingOptions, limit: str, *, raw: bool) -> Json:
    fields = {name: value for name in _NUMBERS if (value := getattr(sampling, name)) != getattr(_NEUTRAL, name)}
    if sampling.max_tokens is not None:
        fields[OLDER_LIMIT if raw else limit] = sampling.max_tokens
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    if sampling.stop_sequences:
        fields["stop"] = list(sampling.stop_sequences)
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if sampling.logprobs is not None:
        fields |= {"logprobs": sampling.logprobs} if raw else {"logprobs": True, "top_logprobs": sampling.logprobs}
    return fields


def _form(asked: InvocationRequest) -> Json:
    if asked.form is None:
        return {}
    if isinstance(asked.form, JsonSchema):
        schema = {"name": asked.form.name or "answer", "schema": asked.form.schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if isinstance(asked.form, JsonObject):
        return {"response_format": {"type": "json_object"}}
    assert isinstance(asked.form, Grammar), "there is no other form"
    raise Invalid(
        f"This model is remote, and cannot be held to a {asked.form.kind} grammar. Use a JSON schema, or a model of "
        "this machine."
    )


def _messages(prompt: ChatPrompt) -> list[Json]:
    return [*([{"role": "system", "content": prompt.system}] if prompt.system else []), *map(_message, prompt.messages)]


def _message(turn: Mapping[str, Any]) -> Json:
    """A turn in OpenAI's form: arguments of calls are JSON text there, and thoughts are not sent back."""
    told = {"role": turn["role"], "content": turn["content"]}
    if turn["role"] == "tool":
        return told | {"tool_call_id": turn["tool_call_id"]}
    if turn.get("tool_calls"):
        return told | {"content": turn["content"] or None, "tool_calls": [_call(each) for each in turn["tool_calls"]]}
    return told


def _call(call: Mapping[str, Any]) -> Json:
    function = call["function"]
    arguments = json.dumps(function["arguments"], ensure_ascii=False)
    return {"id": call["id"], "type": "function", "function": {"name": function["name"], "arguments": arguments}}


def _tools(prompt: ChatPrompt) -> Json:
    if prompt.thinking is not None:
        raise Invalid("This model is remote, and decides by itself whether it thinks first. Leave that wish out.")
    if not prompt.tools:
        return {}
    fields: Json = {"tools": [_tool(each) for each in prompt.tools]}
    if prompt.tool_choice.startswith(ONE):
        name = prompt.tool_choice.removeprefix(ONE)
        fields["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif prompt.tool_choice != AUTO:
        fields["tool_choice"] = _CHOICES[prompt.tool_choice]
    if not prompt.parallel_tool_calls:
        fields["parallel_tool_calls"] = False
    return fields


def _tool(tool: Tool) -> Json:
    function: Json = {"name": tool.name, "parameters": tool.schema}
    if tool.description:
        function["description"] = tool.description
    if tool.strict:
        function["strict"] = True
    return {"type": "function", "function": function}
