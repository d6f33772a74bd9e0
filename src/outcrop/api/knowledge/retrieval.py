"""Retrieve of bedrock-agent-runtime: the passages of a knowledge base that answer a query."""

from dataclasses import replace
from typing import TYPE_CHECKING

from anyio import to_thread

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.searching import open_search
from outcrop.errors import Invalid
from outcrop.knowledge import retrieving
from outcrop.knowledge.passage_members import result_of
from outcrop.knowledge.retrieving import MOST_RESULTS, RetrievalPlan

if TYPE_CHECKING:
    from outcrop.house import House


async def retrieve(house: "House", call: Call) -> Answered:
    """A page of passages, the best first. Every page is searched anew for its token: nothing is kept of a request."""
    params = call.params
    if params.get("guardrailConfiguration"):
        raise Invalid("guardrailConfiguration: guardrails are not built in Outcrop yet. Leave it out.")
    query = retrieving.read_query(params["retrievalQuery"])
    plan = retrieving.read_plan(params.get("retrievalConfiguration"), at="retrievalConfiguration")
    place = int(page_tokens.read(call) or 0)
    opened = await to_thread.run_sync(open_search, house, call, params["knowledgeBaseId"], plan.reranking)
    found = await retrieving.retrieve(opened.search, query, _further(plan, place))
    # What was reranked is all there is: another page would be of another order.
    end = len(found) if plan.reranking is not None else place + plan.most
    more = end < min(len(found), MOST_RESULTS)
    return {
        "retrievalResults": [result_of(each, opened.custom) for each in found[place:end]],
        "nextToken": page_tokens.write(call, str(end)) if more else None,
    }


def _further(plan: RetrievalPlan, place: int) -> RetrievalPlan:
    """The plan of a search up to the end of a page. One passage more tells whether another page follows."""
    if plan.reranking is not None:
        return plan
    return replace(plan, most=min(place + plan.most + 1, MOST_RESULTS))


OPERATIONS: dict[str, Handler] = {"Retrieve": retrieve}
