"""Log probabilities of texts that are given: prompts that text completions echo, and a chat's last message.

The second is Outcrop's own: with `echo`, nothing is generated, and the assistant's last message is scored as if it had
been the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.api.door.call import Answer, Call
from outcrop.api.openai import invoking, refusals
from outcrop.api.openai.members import Settled
from outcrop.house import House
from outcrop.inference.request import TokenLogprob
from outcrop.invocation.dialects.openai import logprob_of, read_chat
from outcrop.invocation.exchange import ChatPrompt, Count, RawPrompt, TokensPrompt
from outcrop.invocation.reference_scores import ScoredText, score_prompt, score_reference
from outcrop.invocation.several import together
from outcrop.invocation.target import RemoteTarget, Target, TextTarget, told_weights
from outcrop.invocation.text_logprobs import TextLogprob, TextLogprobs
from outcrop.tokens.tokenizer import Tokenizer

_TO_SCORE = 'Send {"messages": […, {"role": "assistant", …}], "echo": true, "logprobs": true}.'
_WITHOUT_SCORE = ("stream", "n", "stop", "response_format", "structured_outputs")


@dataclass(frozen=True, kw_only=True)
class EchoedPrompt:
    """A prompt of text completions, as it is echoed: its text, its ids and their log probabilities."""

    text: str
    ids: tuple[int, ...]
    logprobs: dict[str, list[Any]]
    "OpenAI's member; nothing tells the first token's, so it is null."

    def before(self, made: dict[str, Any] | None) -> dict[str, Any]:
        """The log probabilities of the prompt and of what was made after it."""
        if made is None:
            return self.logprobs
        moved = {**made, "text_offset": [len(self.text) + offset for offset in made["text_offset"]]}
        return {name: [*values, *moved[name]] for name, values in self.logprobs.items()}


async def echoed_prompts(
    target: TextTarget, prompts: Sequence[RawPrompt | TokensPrompt], likeliest: int, counts: Sequence[Count]
) -> list[EchoedPrompt]:
    """The prompts, read side by side as they stand. Raises Invalid for a remote model."""
    works = [
        score_prompt(target, prompt, likeliest=likeliest, count=count)
        for prompt, count in zip(prompts, counts, strict=True)
    ]
    scored: list[ScoredText] = await together(works)
    assert isinstance(target, Target), "no other is scored"
    return [_echoed(target.tokenizer, prompt, each) for prompt, each in zip(prompts, scored, strict=True)]


async def score_last_message(house: House, call: Call, name: str, settled: Settled) -> Answer:
    """The assistant's last message with the log probability of each of its tokens, the one that ends it included."""
    body = {key: value for key, value in settled.body.items() if key != "echo"}
    _check(settled)
    for length in ("max_tokens", "max_completion_tokens"):
        body.pop(length, None)
    asked = read_chat(body)
    assert isinstance(asked.prompt, ChatPrompt), "it was read from messages"
    *before, last = asked.prompt.messages
    if not before or last["role"] != "assistant" or last.get("tool_calls"):
        raise refusals.invalid(
            "messages", f"with echo, the last is the assistant's words, which are scored. {_TO_SCORE}"
        )
    target = await invoking.target_of(house, call, name)
    prompt = ChatPrompt(messages=before, system=asked.prompt.system, tools=asked.prompt.tools)
    scored = await score_reference(
        target, prompt, last["content"], likeliest=asked.sampling.logprobs or 0, count=call.usage.count
    )
    assert not isinstance(target, RemoteTarget), "no remote model is scored"
    content = [logprob_of(one) for one in _spelled(target.tokenizer, scored.logprobs)]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": last["content"], "refusal": None, "annotations": []},
        "logprobs": {"content": content, "refusal": None},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": scored.num_read, "completion_tokens": 0, "total_tokens": scored.num_read}
    answer = {
        "id": f"chatcmpl-{call.request_id}",
        "object": "chat.completion",
        "created": int(house.clock.now().timestamp()),
        "model": name,
        "choices": [choice],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": None,
    }
    return Answer(answer, headers=told_weights(target))


def _check(settled: Settled) -> None:
    body = settled.body
    if body["echo"] is not True:
        raise refusals.invalid("echo", "expected true or false.", code="invalid_type")
    if body.get("logprobs") is not True:
        raise refusals.invalid("logprobs", f"with echo, the last message is scored, and nothing else. {_TO_SCORE}")
    if settled.streams or any(name in body for name in _WITHOUT_SCORE):
        raise refusals.unserved("echo", f"with it nothing is generated, so there is nothing to form. {_TO_SCORE}")
    if any(body.get(length) not in (None, 0) for length in ("max_tokens", "max_completion_tokens")):
        raise refusals.unserved("echo", "with it nothing is generated. Leave the limit of tokens out, or say 0.")


def _echoed(tokenizer: Tokenizer, prompt: RawPrompt | TokensPrompt, scored: ScoredText) -> EchoedPrompt:
    assert scored.first is not None, "a whole prompt was scored"
    ids = (scored.first, *(one.token for one in scored.logprobs))
    spelled = _spelled(tokenizer, [TokenLogprob(scored.first, 0.0), *scored.logprobs])
    logprobs: dict[str, list[Any]] = {
        "tokens": [one.token.text for one in spelled],
        "token_logprobs": [None, *(one.token.logprob for one in spelled[1:])],
        "top_logprobs": [None, *(_top(one) for one in spelled[1:])],
        "text_offset": [one.offset for one in spelled],
    }
    text = prompt.text if isinstance(prompt, RawPrompt) else tokenizer.decode(list(ids))
    return EchoedPrompt(text=text, ids=ids, logprobs=logprobs)


def _top(one: TextLogprob) -> dict[str, float]:
    """The likeliest tokens and the one that stands there; of several that are spelled alike, the likeliest."""
    found: dict[str, float] = {}
    for each in (*one.likeliest, one.token):
        found[each.text] = max(each.logprob, found.get(each.text, float("-inf")))
    return found


def _spelled(tokenizer: Tokenizer, logprobs: Sequence[TokenLogprob]) -> tuple[TextLogprob, ...]:
    spelling = TextLogprobs(tokenizer)
    for one in logprobs:
        spelling.add(one)
    return spelling.rest()
