"""Rerank of bedrock-agent-runtime: documents sorted by their relevance to a query."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.errors import Invalid
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask

if TYPE_CHECKING:
    from outcrop.house import House
    from outcrop.invocation.ranking import Ranked

_PAGE = 100
"Documents of an answer to a request that wants no number of them; the next ones come with its token."
_NO_RERANKER = (
    "The provided model ARN for reranking is invalid. Please, use a valid model ARN. Also check the model ARN follows "
    "this format: arn:<partition>:bedrock:<region>::foundation-model/<model-id>"
)


async def rerank(house: "House", call: Call) -> Answered:
    """The documents, the most relevant first. A page is computed anew for its token: nothing is kept of a request."""
    from outcrop.invocation import ranking  # numpy comes with it

    config = call.params["rerankingConfiguration"]["bedrockRerankingConfiguration"]
    model = config["modelConfiguration"]
    place = _place(page_tokens.read(call))
    query, documents = _query(call.params["queries"]), [_text(n, s) for n, s in enumerate(call.params["sources"])]
    target = await to_thread.run_sync(_target, house, call, model["modelArn"])
    most = _most_of_document(model.get("additionalModelRequestFields", {}))
    ranked = await ranking.rank(target, query, documents, most_of_document=most)
    call.usage.count(ranked.num_input_tokens, 0)
    return _page(call, ranked, config.get("numberOfResults"), place)


def _page(call: Call, ranked: "Ranked", wanted: int | None, place: int) -> Answered:
    """The documents from `place` on: as many as were wanted, else a page."""
    end = place + _PAGE if wanted is None else wanted
    results = [{"index": one.index, "relevanceScore": one.relevance} for one in ranked.documents[place:end]]
    more = wanted is None and end < len(ranked.documents)
    return {"results": results, "nextToken": page_tokens.write(call, str(end)) if more else None}


def _place(told: str | None) -> int:
    return int(told) if told is not None else 0


def _query(queries: list[Mapping[str, Any]]) -> str:
    text = queries[0]["textQuery"].get("text")
    if text is None:
        raise Invalid("queries.0.textQuery.text: missing. Give the words that documents are compared with.")
    return str(text)


def _text(number: int, source: Mapping[str, Any]) -> str:
    """The words of a document; a JSON document is read as it is written. Raises Invalid where it has none."""
    document = source["inlineDocumentSource"]
    at = f"sources.{number}.inlineDocumentSource"
    if document["type"] == "JSON":
        if "jsonDocument" not in document:
            raise Invalid(f"{at}.jsonDocument: missing, where type is JSON.")
        return json.dumps(document["jsonDocument"], ensure_ascii=False)
    text = document.get("textDocument", {}).get("text")
    if text is None:
        raise Invalid(f"{at}.textDocument.text: missing, where type is TEXT.")
    return str(text)


def _most_of_document(fields: Mapping[str, Any]) -> int | None:
    """The tokens behind which a document is cut: the one additional field that is understood."""
    for name in fields.keys() - {"max_tokens_per_doc"}:
        raise Invalid(f"additionalModelRequestFields.{name}: is not understood. Leave it out.")
    most = fields.get("max_tokens_per_doc")
    if most is not None and (type(most) is not int or most < 1):
        raise Invalid("additionalModelRequestFields.max_tokens_per_doc: expected a whole number of at least 1.")
    return most


def _target(house: "House", call: Call, model_arn: str) -> EncoderTarget:
    thing = house.access.named(call, "modelArn")
    if not thing.is_known:
        raise Invalid(_NO_RERANKER)
    target = house.targets.find(model_arn, thing, None, caller=call.caller)
    if not isinstance(target, EncoderTarget) or target.task is not ModelTask.RERANKING:
        raise Invalid(f"{_NO_RERANKER} ({model_arn} is no reranking model.)")
    return target


OPERATIONS: dict[str, Handler] = {"Rerank": rerank}
