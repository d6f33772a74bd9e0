"""vLLM's dialect of the OpenAI completions protocol: JSON bodies to requests, and answers to JSON. Token ids only; the
engine has no tokenizer, so every `text` is empty.

`prompt` may be several lists of ids, which begin in one step. One field is the engine's own: `prompt_tokens_per_step`,
the most of a prompt that a step reads. The usage of a stream stands in its first event and in its last. A field
that would change the answer and is not understood is refused, never ignored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from outcrop.errors import Invalid, ModelDamaged, NotFound, NotReady, OutcropError
from outcrop.inference.request import LENGTH, MOST_LIKELIEST, Sampling, TokenLogprob
from outcrop.inference.usage import usage

N = TypeVar("N", int, float)

DAMAGED = 422
"The status of a model whose files are of no use: the request is understood, and nothing is wrong with it."
BACKGROUND = 1
"The `priority` of work that gives way to all other; vLLM's field, in which less comes earlier."
_DEFAULT_MAX_TOKENS = 16  # OpenAI's
_UNDERSTOOD = {
    "model", "prompt", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop_token_ids", "ignore_eos",
    "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty", "logit_bias",
    "stream", "return_token_ids", "prompt_logprobs", "logprobs", "prompt_tokens_per_step", "priority",
    "cache_salt", "stream_options", "structured_outputs",
}  # fmt: skip
_AS_ID = "token_id:"
"What vLLM writes before an id in the place of a token's text, where it is asked to."
_PENALTIES = ("repetition_penalty", "presence_penalty", "frequency_penalty")
# Fields that many clients send with the one value that changes nothing.
_HARMLESS = {
    "n": 1, "best_of": 1, "echo": False, "stop": None, "suffix": None, "skip_special_tokens": True,
    "return_tokens_as_token_ids": True,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Completion:
    """A body of POST /v1/completions."""

    model: str
    prompts: tuple[tuple[int, ...], ...]
    "One, unless whole answers to several are asked for."
    max_tokens: int
    sampling: Sampling
    stop_token_ids: frozenset[int]
    ignore_eos: bool
    stream: bool
    prompt_logprobs: int | None
    "How many of the likeliest tokens are told with each of the prompt, instead of more tokens; None: more tokens."
    logprobs: int | None
    "How many of the likeliest tokens are told with each new one; None: no log probabilities."
    prompt_tokens_per_step: int | None
    background: bool
    cache_salt: str | None
    tells_usage: bool
    "Whether the first and the last event of a stream say how many tokens there are so far."
    grammar: str | None
    "A Lark grammar of the possible answers; None: all are."

    @property
    def scores(self) -> bool:
        """Whether log probabilities of the prompt are asked for, instead of more tokens."""
        return self.prompt_logprobs is not None

    @property
    def prompt_ids(self) -> tuple[int, ...]:
        """The one prompt."""
        (only,) = self.prompts
        return only

    @property
    def num_prompt_tokens(self) -> int:
        return sum(map(len, self.prompts))


def parse_completion(body: bytes) -> Completion:
    """Raises Invalid, naming the field."""
    fields = parse_object(body)
    for name in sorted(fields.keys() - _UNDERSTOOD):
        if name not in _HARMLESS or fields[name] not in (None, _HARMLESS[name]):
            raise Invalid(f"{name}: is not supported by this engine. Leave it out.")
    per_step = fields.get("prompt_tokens_per_step")
    completion = Completion(
        model=text(fields, "model"),
        prompts=_prompts(fields),
        max_tokens=_number(fields, "max_tokens", int, _DEFAULT_MAX_TOKENS),
        sampling=_sampling(fields),
        stop_token_ids=frozenset(_ids(fields, "stop_token_ids") if fields.get("stop_token_ids") else []),
        ignore_eos=bool(fields.get("ignore_eos", False)),
        stream=bool(fields.get("stream", False)),
        prompt_logprobs=_logprobs(fields, "prompt_logprobs"),
        logprobs=_logprobs(fields, "logprobs"),
        prompt_tokens_per_step=None if per_step is None else _number(fields, "prompt_tokens_per_step", int, 0),
        background=_background(fields),
        cache_salt=None if fields.get("cache_salt") is None else text(fields, "cache_salt"),
        tells_usage=_tells_usage(fields),
        grammar=_grammar(fields),
    )
    if per_step is not None and per_step < 1:
        raise Invalid(f"prompt_tokens_per_step: {per_step} is below 1. Leave it out to have the engine choose.")
    if len(completion.prompts) != 1 and (completion.stream or completion.scores):
        raise Invalid("prompt: several prompts are neither streamed nor scored by this engine. Send them one by one.")
    return completion


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """Fields of a body that ask for this sampling. What changes nothing stands in none of them."""
    fields: dict[str, Any] = {name: getattr(sampling, name) for name in _PENALTIES}
    fields |= {"top_k": sampling.top_k, "seed": sampling.seed, "min_p": sampling.min_p}
    if sampling.logit_bias:
        fields["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    plain = Sampling()
    told = {name: value for name, value in fields.items() if value != getattr(plain, name)}
    return {"temperature": sampling.temperature, "top_p": sampling.top_p, **told}


def _sampling(fields: dict[str, Any]) -> Sampling:
    top_k = _number(fields, "top_k", int, 0)
    return Sampling(
        temperature=_number(fields, "temperature", float, 1.0),
        top_p=_number(fields, "top_p", float, 1.0),
        top_k=0 if top_k == -1 else top_k,  # vLLM's older way to say "all"
        min_p=_number(fields, "min_p", float, 0.0),
        repetition_penalty=_number(fields, "repetition_penalty", float, 1.0),
        presence_penalty=_number(fields, "presence_penalty", float, 0.0),
        frequency_penalty=_number(fields, "frequency_penalty", float, 0.0),
        logit_bias=_bias(fields),
        seed=None if fields.get("seed") is None else _number(fields, "seed", int, 0),
    )


def _bias(fields: dict[str, Any]) -> dict[int, float]:
    """Token ids, which JSON has as strings, and what is added to their logits."""
    value = fields.get("logit_bias")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(token.isascii() and token.isdecimal() for token in value):
        raise Invalid(f"logit_bias: expected an object of token ids, found {_kind(value)}.")
    for bias in value.values():
        if isinstance(bias, bool) or not isinstance(bias, int | float):
            raise Invalid(f"logit_bias: expected numbers, found {_kind(bias)}.")
    return {int(token): float(bias) for token, bias in value.items()}


def parse_object(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except ValueError as problem:
        raise Invalid(f"The body is not JSON: {problem}. Send one JSON object.") from problem
    if not isinstance(fields, dict):
        raise Invalid(f"The body is JSON, but {_kind(fields)}. Send one JSON object.")
    return fields


def text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name}: expected a string, found {'an empty one' if value == '' else _kind(value)}.")
    return value


class NewTokens(NamedTuple):
    """New tokens of one prompt."""

    ids: Sequence[int]
    finish_reason: str | None
    logprobs: Sequence[TokenLogprob] = ()
    "Of the ids, where they were asked for."
    num_cached: int = 0
    "Tokens of the prompt that others had read before."


def completion_answer(completion: Completion, request_id: str, made: Sequence[NewTokens]) -> dict[str, Any]:
    """The whole answer, or (of what has just been made) one event of a stream."""
    answer: dict[str, Any] = {
        "id": request_id, "object": "text_completion", "model": completion.model,
        "choices": [_choice(completion, index, one) for index, one in enumerate(made)],
    }  # fmt: skip
    if not completion.stream:
        num_made, num_cached = sum(len(one.ids) for one in made), sum(one.num_cached for one in made)
        answer["usage"] = usage(num_prompt=completion.num_prompt_tokens, num_made=num_made, num_cached=num_cached)
    return answer


def score_answer(completion: Completion, request_id: str, scored: Sequence[TokenLogprob]) -> dict[str, Any]:
    """Log probabilities of the prompt, without new tokens."""
    answer = completion_answer(completion, request_id, [NewTokens([], LENGTH)])
    (choice,) = answer["choices"]
    choice["prompt_logprobs"] = [None, *map(_scored, scored)]
    return answer


def _scored(one: TokenLogprob) -> dict[str, Any]:
    return {str(token): {"logprob": logprob} for token, logprob in ((one.token, one.logprob), *one.likeliest)}


def _choice(completion: Completion, index: int, made: NewTokens) -> dict[str, Any]:
    choice: dict[str, Any] = {
        "index": index, "text": "", "token_ids": list(made.ids), "finish_reason": made.finish_reason,
    }  # fmt: skip
    if completion.logprobs is not None:
        choice["logprobs"] = {"token_logprobs": [one.logprob for one in made.logprobs]}
        if completion.logprobs:
            choice["logprobs"]["top_logprobs"] = [{str(i): p for i, p in one.likeliest} for one in made.logprobs]
    return choice


def prompt_logprobs_of(choice: dict[str, Any], ids: Sequence[int], *, likeliest: int) -> list[TokenLogprob]:
    """The log probabilities of the prompt's `ids` but the first. vLLM tells a token's own with the likeliest."""
    found = []
    for token, place in zip(ids[1:], choice["prompt_logprobs"][1:], strict=True):
        told = sorted(((int(each), float(one["logprob"])) for each, one in place.items()), key=lambda one: -one[1])
        found.append(TokenLogprob(token, float(place[str(token)]["logprob"]), tuple(told[:likeliest])))
    return found


def logprobs_of(choice: dict[str, Any]) -> tuple[TokenLogprob, ...]:
    """The log probabilities of a choice of an answer; none where it has none."""
    told = choice.get("logprobs")
    if not told:
        return ()
    likeliest = told.get("top_logprobs")
    if not likeliest:
        return tuple(TokenLogprob(*own) for own in zip(choice["token_ids"], told["token_logprobs"], strict=True))
    return tuple(
        TokenLogprob(token, logprob, tuple((int(i.removeprefix(_AS_ID)), p) for i, p in those.items()))
        for token, logprob, those in zip(choice["token_ids"], told["token_logprobs"], likeliest, strict=True)
    )


def event(data: dict[str, Any]) -> bytes:
    """A server-sent event that carries `data` as JSON."""
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


END_OF_EVENTS = b"data: [DONE]\n\n"


def error(problem: Exception) -> tuple[int, dict[str, Any]]:
    """HTTP status and body; what is nobody's refusal shows no details."""
    status, kind = next((known[1:] for known in _ERRORS if isinstance(problem, known[0])), (500, "InternalServerError"))
    ours = isinstance(problem, OutcropError)
    message = str(problem) if ours else "The engine failed. Its log says why."
    return status, {"error": {"message": message, "type": kind, "code": status}}


_ERRORS: tuple[tuple[type[Exception], int, str], ...] = (
    (Invalid, 400, "BadRequestError"),
    (NotFound, 404, "NotFoundError"),
    (NotReady, 503, "ServiceUnavailableError"),
    (ModelDamaged, DAMAGED, "DamagedModelError"),
)


def _prompts(fields: dict[str, Any]) -> tuple[tuple[int, ...], ...]:
    several = fields.get("prompt")
    if isinstance(several, list) and several and all(isinstance(prompt, list) for prompt in several):
        return tuple(tuple(_ids({"prompt": prompt}, "prompt")) for prompt in several)
    return (tuple(_ids(fields, "prompt")),)


def _background(fields: dict[str, Any]) -> bool:
    """Two priorities are told apart: 0, that of everybody, and those behind it."""
    priority = _number(fields, "priority", int, 0)
    if priority < 0:
        raise Invalid(f"priority: {priority} is below 0. Use 0, or {BACKGROUND} for work that gives way to all other.")
    return priority > 0


def _tells_usage(fields: dict[str, Any]) -> bool:
    options = fields.get("stream_options")
    if options is None:
        return False
    if not isinstance(options, dict):
        raise Invalid(f"stream_options: expected an object, found {_kind(options)}.")
    for name in sorted(options.keys() - {"include_usage"}):
        raise Invalid(f"stream_options.{name}: is not supported by this engine. Leave it out.")
    return bool(options.get("include_usage", False))


def _logprobs(fields: dict[str, Any], name: str) -> int | None:
    """The number of likeliest tokens to tell of, beside the one that was taken; None where none is asked for."""
    if fields.get(name) is None:
        return None
    wanted = _number(fields, name, int, 0)
    if not 0 <= wanted <= MOST_LIKELIEST:
        raise Invalid(f"{name}: {wanted} is not between 0 and {MOST_LIKELIEST}.")
    return wanted


def _grammar(fields: dict[str, Any]) -> str | None:
    asked = fields.get("structured_outputs")
    if asked is None:
        return None
    if not isinstance(asked, dict) or asked.keys() != {"grammar"} or not isinstance(asked["grammar"], str):
        raise Invalid('structured_outputs: expected {"grammar": "…"}, a Lark grammar. Write the form of answers so.')
    return asked["grammar"]


def _ids(fields: dict[str, Any], name: str) -> list[int]:
    value = fields.get(name)
    if not isinstance(value, list) or not all(type(token) is int for token in value):
        raise Invalid(f"{name}: expected a list of token ids, found {_kind(value)}. This engine has no tokenizer.")
    return value


def _number(fields: dict[str, Any], name: str, kind: type[N], default: N) -> N:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise Invalid(f"{name}: expected {'an integer' if kind is int else 'a number'}, found {_kind(value)}.")
    return kind(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
