"""Invocations in Converse's words, and Converse's answers as those of an invocation: `converse.py` the other way round.

For models of real Bedrock that are asked through another form than Bedrock's.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from outcrop.errors import Invalid, ModelFailed
from outcrop.invocation.exchange import (
    ANY,
    NONE,
    ONE,
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    TokensPrompt,
    ToolCall,
)
from outcrop.invocation.remote.openai_requests import no_ids

Json = dict[str, Any]
_NEUTRAL = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)
_WORDLESS = (
    "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias", "seed", "logprobs",
)  # fmt: skip
"What each model of Bedrock has words of its own for, or none."
_REASONS = {
    "end_turn": Finish.END,
    "max_tokens": Finish.MAX_TOKENS,
    "stop_sequence": Finish.STOP_SEQUENCE,
    "tool_use": Finish.TOOL_USE,
    "model_context_window_exceeded": Finish.CONTEXT,
}


def params_of(asked: InvocationRequest) -> Json:
    """The parameters of Converse that put an invocation. Raises Invalid for what Converse has no words for."""
    sampling = asked.sampling
    asked_for = [name for name in _WORDLESS if getattr(sampling, name) != getattr(_NEUTRAL, name)]
    if asked.form is not None:
        asked_for.append("a form of answers")
    if asked_for:
        raise Invalid(
            f"This model is one of real Bedrock, where Converse has no words for {', '.join(asked_for)}. Leave that "
            "out, or send InvokeModel a body of the model's own."
        )
    prompt = asked.prompt
    if isinstance(prompt, TokensPrompt):
        raise no_ids()
    if isinstance(prompt, RawPrompt):
        prompt = ChatPrompt(messages=[{"role": "user", "content": prompt.text}])
    told: Json = {"messages": list(_messages(prompt)), "inferenceConfig": _config(sampling)}
    if prompt.system:
        told["system"] = [{"text": prompt.system}]
    return told | _tools(prompt)


def finished(members: Mapping[str, Any]) -> Finished:
    """The whole answer, of Converse's output."""
    content = members["output"]["message"]["content"]
    calls = [each["toolUse"] for each in content if "toolUse" in each]
    thoughts = [each["reasoningContent"].get("reasoningText", {}) for each in content if "reasoningContent" in each]
    return _finished(
        text="".join(each["text"] for each in content if "text" in each),
        reasoning="".join(each.get("text", "") for each in thoughts),
        calls=tuple(ToolCall(id=each["toolUseId"], name=each["name"], arguments=each["input"]) for each in calls),
        reason=members["stopReason"],
        usage=members["usage"],
        num_blocks=max(1, len(content)),
    )


class ConverseAnswer:
    """An answer of ConverseStream, taken in event by event."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, Json] = {}
        self._opened: set[int] = set()
        self._num_pieces = 0
        self._reason: str | None = None
        self._usage: Mapping[str, Any] = {}

    def push(self, event: Mapping[str, Any]) -> Iterator[AnswerPiece]:
        """The pieces that an event adds."""
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            if "toolUse" in start.get("start", {}):
                self._calls[start["contentBlockIndex"]] = {**start["start"]["toolUse"], "input": ""}
        elif "contentBlockDelta" in event:
            block, delta = event["contentBlockDelta"]["contentBlockIndex"], event["contentBlockDelta"]["delta"]
            yield from self._delta(block, delta)
        elif "messageStop" in event:
            self._reason = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            self._usage = event["metadata"]["usage"]

    def finished(self) -> Finished:
        """The whole answer. Raises ModelFailed for a stream that did not come to its end."""
        if self._reason is None:
            raise ModelFailed("The remote model ended its answer in the middle.")
        return _finished(
            text="".join(self._texts),
            reasoning="".join(self._thoughts),
            num_blocks=max(1, len(self._opened)),
            calls=tuple(
                ToolCall(id=each["toolUseId"], name=each["name"], arguments=json.loads(each["input"] or "{}"))
                for each in self._calls.values()
            ),
            reason=self._reason,
            usage=self._usage,
        )

    def _delta(self, block: int, delta: Mapping[str, Any]) -> Iterator[AnswerPiece]:
        if "text" in delta:
            self._texts.append(delta["text"])
            yield self._piece(block, delta["text"], part="text")
        elif "reasoningContent" in delta and "text" in delta["reasoningContent"]:
            self._thoughts.append(delta["reasoningContent"]["text"])
            yield self._piece(block, delta["reasoningContent"]["text"], part="reasoning")
        elif "toolUse" in delta:
            call = self._calls[block]
            call["input"] += delta["toolUse"]["input"]
            number = list(self._calls).index(block)
            told = {"call_index": number, "call_id": call["toolUseId"], "call_name": call["name"]}
            yield self._piece(block, delta["toolUse"]["input"], part="tool", **told)

    def _piece(self, block: int, text: str, **told: Any) -> AnswerPiece:
        self._num_pieces += 1
        opens = block not in self._opened
        self._opened.add(block)
        first = self._num_pieces == 1
        return AnswerPiece(text=text, num_output_tokens=self._num_pieces, first=first, block=block, opens=opens, **told)


def _finished(
    *,
    text: str,
    reasoning: str,
    calls: tuple[ToolCall, ...],
    reason: str,
    usage: Mapping[str, Any],
    num_blocks: int,
) -> Finished:
    if reason not in _REASONS:
        raise ModelFailed(f"The remote model's answer was cut off: {reason}.")
    return Finished(
        text=text,
        num_output_tokens=int(usage.get("outputTokens", 0)),
        num_input_tokens=int(usage.get("inputTokens", 0)),
        finish=_REASONS[reason],
        reasoning=reasoning,
        tool_calls=calls,
        num_blocks=num_blocks,
    )


def _config(sampling: SamplingOptions) -> Json:
    config: Json = {}
    if sampling.max_tokens is not None:
        config["maxTokens"] = sampling.max_tokens
    if sampling.temperature != _NEUTRAL.temperature:
        config["temperature"] = sampling.temperature
    if sampling.top_p != _NEUTRAL.top_p:
        config["topP"] = sampling.top_p
    if sampling.stop_sequences:
        config["stopSequences"] = list(sampling.stop_sequences)
    return config


def _messages(prompt: ChatPrompt) -> Iterator[Json]:
    """The turns; results of tools that follow each other are one turn of the user, as Converse has it."""
    results: list[Json] = []
    for turn in prompt.messages:
        if turn["role"] == "tool":
            results.append({"toolResult": {"toolUseId": turn["tool_call_id"], "content": [{"text": turn["content"]}]}})
            continue
        content = [*results, *_content(turn)]
        if results and turn["role"] != "user":
            yield {"role": "user", "content": results}
            content = list(_content(turn))
        results = []
        yield {"role": turn["role"], "content": content}
    if results:
        yield {"role": "user", "content": results}


def _content(turn: Mapping[str, Any]) -> Iterator[Json]:
    if turn["content"]:
        yield {"text": turn["content"]}
    for call in turn.get("tool_calls") or ():
        function = call["function"]
        yield {"toolUse": {"toolUseId": call["id"], "name": function["name"], "input": function["arguments"]}}


def _tools(prompt: ChatPrompt) -> Json:
    if prompt.thinking is not None:
        raise Invalid("This model is one of real Bedrock, where each model has words of its own for thinking first.")
    if not prompt.tools or (prompt.tool_choice == NONE and not prompt.has_calls):
        return {}
    tools = [
        {"toolSpec": {"name": each.name, "inputSchema": {"json": each.schema}, **_described(each.description)}}
        for each in prompt.tools
    ]
    config: Json = {"tools": tools}
    if prompt.tool_choice.startswith(ONE):
        config["toolChoice"] = {"tool": {"name": prompt.tool_choice.removeprefix(ONE)}}
    elif prompt.tool_choice == ANY:
        config["toolChoice"] = {"any": {}}
    return {"toolConfig": config}


def _described(text: str) -> Json:
    return {"description": text} if text else {}
