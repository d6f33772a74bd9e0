"""`inputs` and `parameters`, as SageMaker's images for language models speak them: TGI, LMI, Hugging Face's pipelines.

https://huggingface.github.io/text-generation-inference/
https://docs.djl.ai/master/docs/serving/serving/docs/lmi/user_guides/lmi_input_output_schema.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.invocation.answer_form import form_of_structured_outputs
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import (
    AnswerForm,
    AnswerPiece,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    Started,
)
from outcrop.invocation.schema import Anything, Body, Flag, Items, Number, Struct, Text, check, malformed
from outcrop.invocation.text_logprobs import SpelledToken

_NOTHING = object()
_WITHOUT_MEANING = {
    "decoder_input_details": (False,),
    "watermark": (False,),
    "typical_p": (None, 1, 1.0),
    "truncate": (None,),
    "top_n_tokens": (None, 0),
    "adapter_id": (None,),
    "num_beams": (None, 1),
    "length_penalty": (None, 1, 1.0),
    "early_stopping": (None, False, True),
    "use_cache": (None, True),
    "pad_token_id": _NOTHING,
    "return_text": (None, True),
    "clean_up_tokenization_spaces": _NOTHING,
}
"Parameters that change nothing here, with the values that they may have; others are refused by name."
_PARAMETERS = Struct(
    optional={
        "max_new_tokens": Number(least=1, integer=True),
        "max_length": Number(least=1, integer=True),
        "do_sample": Flag(),
        "temperature": Number(least=0, most=100),
        "top_k": Number(least=0, integer=True),
        "top_p": Number(least=0, most=1),
        "min_p": Number(least=0, most=1),
        "repetition_penalty": Number(least=0.01, most=10),
        "frequency_penalty": Number(least=-2, most=2),
        "presence_penalty": Number(least=-2, most=2),
        "stop": Items(of=Text()),
        "stop_sequences": Items(of=Text()),
        "seed": Number(integer=True),
        "best_of": Number(least=1, most=20, integer=True),
        "num_return_sequences": Number(least=1, most=20, integer=True),
        "return_full_text": Flag(),
        "details": Flag(),
        "grammar": Anything(),
        **{name: Anything() for name in _WITHOUT_MEANING},
    }
)
_BODY = Struct(required={"inputs": Text(least_length=1)}, optional={"parameters": Anything(), "stream": Flag()})
_WARPERS = ("temperature", "top_k", "top_p", "min_p")
_GREEDY = 0.0


@dataclass(frozen=True, kw_only=True)
class TextServer:
    """A server of language models, by what its answers look like."""

    name: str
    max_new_tokens: int
    "Where a request does not say."
    in_list: bool
    "Whether a whole answer stands in a list."
    in_full: bool = False
    "Whether the text comes behind its prompt, where a request does not say."


TGI = TextServer(name="text-generation-inference", max_new_tokens=100, in_list=True)
LMI = TextServer(name="large-model-inference", max_new_tokens=30, in_list=False)
PIPELINE = TextServer(name="text-generation-pipeline", max_new_tokens=256, in_list=True, in_full=True)


def text_generation(server: TextServer, body: Body) -> Dialect:
    """The dialect of one body: what its parameters say of the answer's form is decided here."""
    parameters = body.get("parameters") or {}
    told = parameters if isinstance(parameters, dict) else {}
    in_full, details = bool(told.get("return_full_text", server.in_full)), bool(told.get("details"))

    def answer(started: Started, finished: Finished) -> Chunk:
        told = {"generated_text": _text(started, finished, in_full)}
        return {**told, "details": _details(started, finished)} if details else told

    def closing(started: Started, finished: Finished) -> list[Chunk]:
        last = finished.logprobs[-1].token if finished.logprobs else None
        return [
            {
                "index": finished.num_output_tokens,
                "token": _token(last, "", special=True),
                "generated_text": _text(started, finished, in_full),
                "details": _ended(started, finished),
            }
        ]

    return Dialect(
        name=server.name,
        read=lambda body: _read(server, body),
        answer=answer,
        piece=_piece,
        closing=closing,
        joined=_joined,
        defaults=SamplingOptions(max_tokens=server.max_new_tokens, temperature=_GREEDY),
    )


def _read(server: TextServer, body: Body) -> InvocationRequest:
    check(_BODY, body)
    if not isinstance(body.get("parameters") or {}, dict):
        raise malformed(["#/parameters: expected type: JSONObject"])
    parameters = {name: value for name, value in (body.get("parameters") or {}).items() if value is not None}
    check(_PARAMETERS, parameters)
    for name, values in _WITHOUT_MEANING.items():
        if isinstance(values, tuple) and name in parameters and parameters[name] not in values:
            raise malformed([f"#/parameters/{name}: it has no effect here; leave it out"])
    if "max_length" in parameters and "max_new_tokens" not in parameters:
        raise malformed(["#/parameters/max_length: it counts the prompt too; give max_new_tokens"])
    num_answers = parameters.get("num_return_sequences", 1)
    best_of = max(num_answers, parameters.get("best_of", 1))
    tells_tokens = bool(parameters.get("details") or body.get("stream") or best_of > num_answers)
    return InvocationRequest(
        prompt=RawPrompt(text=body["inputs"]),
        sampling=_sampling(server, parameters, logprobs=0 if tells_tokens else None),
        form=_form(parameters.get("grammar")),
        num_answers=best_of,
        num_kept=num_answers if best_of > num_answers else None,
    )


def _sampling(server: TextServer, parameters: Body, *, logprobs: int | None) -> SamplingOptions:
    draws = parameters.get("do_sample", any(name in parameters for name in _WARPERS))
    return SamplingOptions(
        max_tokens=parameters.get("max_new_tokens", server.max_new_tokens),
        temperature=parameters.get("temperature", 1.0) if draws else _GREEDY,
        top_p=parameters.get("top_p", 1.0) if draws else 1.0,
        top_k=parameters.get("top_k", 0) if draws else 0,
        min_p=parameters.get("min_p", 0.0) if draws else 0.0,
        repetition_penalty=parameters.get("repetition_penalty", 1.0),
        frequency_penalty=parameters.get("frequency_penalty", 0.0),
        presence_penalty=parameters.get("presence_penalty", 0.0),
        seed=parameters.get("seed"),
        stop_sequences=tuple(parameters.get("stop", ()) or parameters.get("stop_sequences", ())),
        logprobs=logprobs,
    )


def _form(grammar: Any) -> AnswerForm | None:
    """The form of answers that `grammar` asks for: a JSON schema, or a regular expression."""
    if grammar is None:
        return None
    kind = grammar.get("type") if isinstance(grammar, dict) else None
    if kind not in ("json", "regex") or "value" not in grammar:
        raise malformed(['#/parameters/grammar: expected {"type": "json" or "regex", "value": …}'])
    return form_of_structured_outputs({kind: grammar["value"]}, at="parameters.grammar")


def _text(started: Started, finished: Finished, in_full: bool) -> str:
    prompt = started.asked.prompt
    return f"{prompt.text}{finished.text}" if in_full and isinstance(prompt, RawPrompt) else finished.text


def _piece(_started: Started, piece: AnswerPiece) -> Chunk:
    last = piece.logprobs[-1].token if piece.logprobs else None
    token = _token(last, piece.text, special=False)
    return {"index": piece.num_output_tokens, "token": token, "generated_text": None, "details": None}


def _ended(started: Started, finished: Finished) -> Chunk:
    return {
        "finish_reason": _reason(finished),
        "generated_tokens": finished.num_output_tokens,
        "seed": started.asked.sampling.seed,
        "input_length": started.num_input_tokens,
    }


def _details(started: Started, finished: Finished) -> Chunk:
    tokens = [_token(one.token, one.token.text, special=False) for one in finished.logprobs]
    return {**_ended(started, finished), "prefill": [], "tokens": tokens}


def _token(token: SpelledToken | None, text: str, *, special: bool) -> Chunk:
    known = token if token is not None else SpelledToken(b"", 0.0)
    return {"id": known.id, "text": text, "logprob": known.logprob, "special": special}


def _reason(finished: Finished) -> str:
    if finished.finish is Finish.STOP_SEQUENCE:
        return "stop_sequence"
    return "length" if finished.finish in (Finish.MAX_TOKENS, Finish.CONTEXT) else "eos_token"


def _joined(answers: Sequence[Chunk]) -> Chunk:
    """Several answers; whoever writes them out knows whether they stand in a list."""
    return answers[0] if len(answers) == 1 else {"several": list(answers)}


def written(server: TextServer, response: Chunk) -> Any:
    """The whole response as the server writes it."""
    several = response.get("several", [response])
    return several if server.in_list or len(several) > 1 else several[0]
