"""Answers of OpenAI's protocol, whole or as a stream, as those of an invocation.

Two things are done here that a server leaves out: it does not say which stop sequence it met, and one that knows no
`stop` does not stop.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from outcrop.errors import ModelFailed
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, SamplingOptions, ToolCall
from outcrop.invocation.stopping import StopScanner
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob

_REASONS = {
    "stop": Finish.END,
    "eos": Finish.END,
    "length": Finish.MAX_TOKENS,
    "tool_calls": Finish.TOOL_USE,
    "function_call": Finish.TOOL_USE,
}
Part = Literal["text", "reasoning", "tool"]
_THOUGHTS = ("reasoning_content", "reasoning")
"Names that servers have for what a model thought."


@dataclass
class _Call:
    """A tool call as far as it has come."""

    id: str
    name: str
    block: int
    arguments: str = ""


class OpenAiAnswer:
    """An answer, taken in event by event or at once: `push`, and `finished` at its end."""

    def __init__(self, host: str, sampling: SamplingOptions) -> None:
        self._host = host
        self._sampling = sampling
        self._scanner = StopScanner(sampling.stop_sequences)
        self._reason: str | None = None
        self._met: str | None = None
        self._text: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._block = -1
        self._part = ""
        "Of the block that is open."
        self._logprobs: list[TextLogprob] = []
        self._num_spelled = 0
        self._num_pieces = 0
        self._usage: Mapping[str, Any] = {}

    @property
    def is_stopped(self) -> bool:
        """Whether a stop sequence was met here: no more has to come."""
        return self._scanner.met is not None

    def push(self, event: Mapping[str, Any]) -> Iterator[AnswerPiece]:
        """The pieces that an event of a stream, or a whole answer, adds. Raises ModelFailed for an error in it."""
        if event.get("error"):
            raise ModelFailed(f"{self._host} broke off: {_sentence(event['error'])}")
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices") or ():
            yield from self._push_choice(choice)

    def rest(self) -> Iterator[AnswerPiece]:
        """The piece that was held back because a stop sequence might have begun in it. Raises ModelFailed for an
        answer that has not ended."""
        if self._reason is None and not self.is_stopped:
            raise ModelFailed(f"{self._host} ended its answer in the middle.")
        text = self._scanner.finish()
        if text:
            yield self._piece(text)

    def finished(self) -> Finished:
        """The whole answer. Raises ModelFailed for one that a filter cut, or a call that is none."""
        return Finished(
            text="".join(self._text),
            num_output_tokens=int(self._usage.get("completion_tokens") or self._num_pieces),
            num_input_tokens=int(self._usage.get("prompt_tokens") or 0),
            finish=self._finish(),
            stop_sequence=self._scanner.met or self._met,
            logprobs=tuple(self._logprobs),
            reasoning="".join(self._thoughts),
            tool_calls=tuple(self._tool_call(each) for each in self._calls.values()),
            num_blocks=max(1, self._block + 1),
        )

    def _push_choice(self, choice: Mapping[str, Any]) -> Iterator[AnswerPiece]:
        said = choice.get("delta") or choice.get("message") or {}
        thought = next((said[name] for name in _THOUGHTS if said.get(name)), "")
        if thought:
            self._thoughts.append(thought)
            yield self._made(thought, "reasoning")
        logprobs = self._spelled(choice.get("logprobs"))
        text = self._scanner.push(_words(said.get("content") or said.get("refusal") or choice.get("text") or ""))
        if text or logprobs:
            yield self._piece(text, logprobs)
        for number, call in enumerate(said.get("tool_calls") or ()):
            yield from self._push_call(call.get("index", number), call)
        self._reason = choice.get("finish_reason") or self._reason
        if choice.get("stop_reason") in self._sampling.stop_sequences:  # as vLLM and SGLang tell it
            self._met = choice["stop_reason"]

    def _push_call(self, index: int, call: Mapping[str, Any]) -> Iterator[AnswerPiece]:
        function = call.get("function") or {}
        opens, arguments = index not in self._calls, function.get("arguments") or ""
        if opens:
            self._block += 1
            id_, name = call.get("id") or f"call_{index}", function.get("name") or ""
            self._calls[index] = _Call(id=id_, name=name, block=self._block)
        self._calls[index].arguments += arguments
        if arguments or opens:
            yield self._made(arguments, "tool", opens=opens, call=(index, self._calls[index]))

    def _piece(self, text: str, logprobs: Sequence[TextLogprob] = ()) -> AnswerPiece:
        self._text.append(text)
        self._logprobs += logprobs
        return self._made(text, "text", logprobs=tuple(logprobs))

    def _made(
        self,
        text: str,
        part: Part,
        *,
        opens: bool = False,
        call: tuple[int, _Call] | None = None,
        logprobs: tuple[TextLogprob, ...] = (),
    ) -> AnswerPiece:
        if call is None and part != self._part:  # words and thoughts that stand together are one block
            self._block += 1
            opens = True
        self._part = part
        self._num_pieces += 1
        return AnswerPiece(
            text=text,
            num_output_tokens=int(self._usage.get("completion_tokens") or self._num_pieces),
            first=self._num_pieces == 1,
            logprobs=logprobs,
            part=part,
            block=call[1].block if call is not None else self._block,
            opens=opens,
            call_index=call[0] if call is not None else 0,
            call_id=call[1].id if call is not None else "",
            call_name=call[1].name if call is not None else "",
        )

    def _finish(self) -> Finish:
        if self.is_stopped or self._met is not None:
            return Finish.STOP_SEQUENCE
        if self._reason == "content_filter":
            raise ModelFailed(f"{self._host} cut the answer off by its content filter.")
        if self._calls and self._reason != "length":  # some servers say `stop` for calls
            return Finish.TOOL_USE
        return _REASONS.get(self._reason or "", Finish.END)

    def _tool_call(self, call: _Call) -> ToolCall:
        try:
            arguments = json.loads(call.arguments or "{}")
        except ValueError as error:
            raise ModelFailed(f"{self._host} called the tool {call.name} with arguments that are no JSON.") from error
        if not isinstance(arguments, dict):
            raise ModelFailed(f"{self._host} called the tool {call.name} with arguments that are no object.")
        return ToolCall(id=call.id, name=call.name, arguments=arguments)

    def _spelled(self, told: Any) -> list[TextLogprob]:
        """The log probabilities of an event, in the form of chats or of completions."""
        if self._sampling.logprobs is None or not told:
            return []
        if told.get("content"):
            return [self._spelled_token(one) for one in told["content"]]
        tops = told.get("top_logprobs") or [{}] * len(told.get("tokens") or ())
        found = []
        for token, logprob, likeliest in zip(told.get("tokens") or (), told["token_logprobs"], tops, strict=True):
            others = [{"token": each, "logprob": number} for each, number in (likeliest or {}).items()]
            found.append(self._spelled_token({"token": token, "logprob": logprob, "top_logprobs": others}))
        return found

    def _spelled_token(self, told: Mapping[str, Any]) -> TextLogprob:
        token = _spelling(told)
        likeliest = tuple(_spelling(each) for each in told.get("top_logprobs") or ())
        made = TextLogprob(token, likeliest, self._num_spelled)
        self._num_spelled += len(token.text)
        return made


def _spelling(told: Mapping[str, Any]) -> SpelledToken:
    spelled = told.get("bytes")
    return SpelledToken(bytes(spelled) if spelled else told["token"].encode(), float(told["logprob"]))


def _words(content: Any) -> str:
    """The text of a message, which some servers give in parts."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _sentence(error: Any) -> str:
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
