"""Embeddings: a vector for each text, of length 1 as OpenAI's are, as numbers or in base64."""

import base64
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from outcrop.api.bedrock import guarding
from outcrop.api.door.call import Answer, Answered, Call
from outcrop.api.door.leaving import accounted
from outcrop.api.openai import invoking, refusals
from outcrop.api.openai.endpoint import BODY, Endpoint, Takes
from outcrop.api.openai.members import settle
from outcrop.api.openai.rates import rate_headers
from outcrop.house import House
from outcrop.inference.encoder_requests import TextKind
from outcrop.invocation.admission import Ticket
from outcrop.invocation.schema import Anything, Malformed, Number, Struct, Text
from outcrop.invocation.target import EncoderTarget

if TYPE_CHECKING:
    from outcrop.invocation.embedding import Embedded

_MOST_TEXTS = 2048
_BODY = Struct(
    required={"input": Anything()},
    optional={
        "encoding_format": Text(one_of=("float", "base64")),
        "dimensions": Number(least=1, integer=True),
        # Not OpenAI's: models that prepare questions and answers otherwise are told which a text is.
        "input_type": Text(one_of=("query", "document")),
    },
)
_IDS = (
    "token ids are those of OpenAI's own tokenizers, and mean nothing to this model. Send texts: LangChain does with "
    "check_embedding_ctx_length=False."
)


async def create_embeddings(house: House, call: Call) -> Answered:
    """The vectors of all texts, in their order."""
    from outcrop.invocation.embedding import embed  # numpy comes with it, which text needs nothing of

    name = call.params[BODY]["model"]
    settled = settle(call.params[BODY], unserved={}, only={})
    problems = _BODY.violations(settled.body, "#")
    if problems or settled.streams:
        raise Malformed(problems or ["#: extraneous key [stream] is not permitted"])
    guarding.check_unguarded(call, "it looks at text that a model writes, and this one writes none. Leave it out.")
    texts = _texts(settled.body["input"])
    target = await _target(house, call, name)
    kind = settled.body.get("input_type")
    headers: dict[str, str] = {}

    def admitted(ticket: Ticket) -> None:
        headers.update(rate_headers(ticket.rates))

    embedded = await embed(
        target,
        texts,
        dimensions=settled.body.get("dimensions"),
        normalize=True,
        kind=None if kind is None else _kind(kind),
        admitted=admitted,
    )
    call.usage.count(embedded.num_input_tokens, 0)
    if target.stands_in:
        headers["x-outcrop-embedding"] = "mean hidden states of a text model"
    return Answer(_members(name, embedded, settled.body.get("encoding_format")), headers=headers)


def _members(name: str, embedded: "Embedded", encoding: str | None) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": number, "embedding": _packed(vector) if encoding == "base64" else vector}
        for number, vector in enumerate(embedded.vectors)
    ]
    usage = {"prompt_tokens": embedded.num_input_tokens, "total_tokens": embedded.num_input_tokens}
    return {"object": "list", "data": data, "model": name, "usage": usage}


def _kind(name: str) -> TextKind:
    return "query" if name == "query" else "document"


def _texts(given: Any) -> list[str]:
    """The texts of an input. Refuses token ids, which are another tokenizer's."""
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not listed:
        raise refusals.invalid("input", "expected a text, or a list of texts.", code="invalid_type")
    if len(listed) > _MOST_TEXTS:
        raise refusals.invalid("input", f"{len(listed)} texts. Send at most {_MOST_TEXTS} at once.")
    for number, text in enumerate(listed):
        at = "input" if isinstance(given, str) else f"input[{number}]"
        if type(text) is int or (isinstance(text, list) and all(type(one) is int for one in text)):
            raise refusals.unserved("input", _IDS)
        if not isinstance(text, str):
            raise refusals.invalid(at, "expected a text.", code="invalid_type")
        if not text:
            raise refusals.invalid(at, "it is empty.")
    return listed


async def _target(house: House, call: Call, name: str) -> EncoderTarget:
    thing = house.access.named(call, "modelId")
    if not thing.is_known:
        raise refusals.no_model(name)
    found = await to_thread.run_sync(_find, house, call)
    if not isinstance(found, EncoderTarget):
        raise refusals.invalid("model", f"{name} writes text, and makes no vectors. Name an embedding model.")
    return found


def _find(house: House, call: Call) -> Any:
    row = house.access.row(call, "modelId")
    resource = None if row is None else row.resource()
    thing = house.access.named(call, "modelId")
    return accounted(house.targets.find(call.params["modelId"], thing, resource, caller=call.caller), call)


def _packed(vector: list[float]) -> str:
    """A vector as 32-bit numbers, lowest byte first, in base64."""
    import numpy as np

    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/embeddings",
        service="bedrock-runtime",
        operation="InvokeModel",
        meaning=invoking.mean_invocation,
        handler=create_embeddings,
        takes=Takes.JSON,
        prompt="input",
    ),
)
