"""Retrieve of bedrock-agent-runtime: the passages of a knowledge base that answer a query."""

from dataclasses import replace
from typing import TYPE_CHECKING

from anyio import to_thread

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.guarded_questions import guarded_question, guardrail_action, opened_guard
from outcrop.api.knowledge.searching import open_search
from outcrop.knowledge import retrieving
from outcrop.knowledge.answering.questioning import guardrail_of
from outcrop.knowledge.passage_members import result_of
from outcrop.knowledge.retrieving import MOST_RESULTS, RetrievalPlan

if TYPE_CHECKING:
    from outcrop.house import House


async def retrieve(house: "House", call: Call) -> Answered:
    """A page of passages, the best first. Every page is searched anew for its token: nothing is kept of a request."""
    params = call.params
    query = retrieving.read_query(params["retrievalQuery"])
    guard = await opened_guard(house, call, guardrail_of(params))
    if guard is not None:
        query = await guarded_question(guard, query)
        if guard.instead is not None:
            return {"retrievalResults": [], "guardrailAction": guardrail_action(guard)}
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
        "guardrailAction": guardrail_action(guard),
    }


def _further(plan: RetrievalPlan, place: int) -> RetrievalPlan:
    """The plan of a search up to the end of a page. One passage more tells whether another page follows."""
    if plan.reranking is not None:
        return plan
    return replace(plan, most=min(place + plan.most + 1, MOST_RESULTS))


OPERATIONS: dict[str, Handler] = {"Retrieve": retrieve}
