"""Knowledge bases: what they read, how it was cut, what a search finds, and answers with citations."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.pages.roles import BEDROCK, roles_for
from outcrop.console.user_client import Listed
from outcrop.console.views.knowledge_views import (
    SEARCHES,
    STRATEGIES,
    KnowledgeForm,
    SourceView,
    base_request,
    cited_passage,
    document_rows,
    knowledge_rows,
    passages_page,
    read_form,
    source_request,
    source_view,
)
from outcrop.console.views.model_views import model_cards
from outcrop.console.visit import ConsoleVisit

VIEWS = ("sources", "documents", "search", "ask")
_PAGE, _MOST_JOBS, _MOST_DOCUMENTS, _PASSAGES = 50, 3, 50, 50
_RESULTS = ("5", "10", "20", "50")
_AGENT = "bedrock-agent"


def show(visit: ConsoleVisit) -> Response:
    return _listed(visit, KnowledgeForm())


def make(visit: ConsoleVisit) -> Response:
    """A knowledge base, and its first source where the form names a bucket; what is refused leaves the form."""
    form, agent = read_form(visit.form), visit.api.client(_AGENT)
    try:
        made = agent.create_knowledge_base(**base_request(form, visit.api.region))["knowledgeBase"]
    except ClientError as refusal:
        return _listed(visit, form, problem=refusal.response["Error"]["Message"])
    if form.bucket:
        return _with_source(visit, form, made["knowledgeBaseId"])
    return visit.to(f"/knowledge/{made['knowledgeBaseId']}")


def add_source(visit: ConsoleVisit) -> Response:
    """A further source, which is read at once."""
    return _with_source(visit, read_form(visit.form), visit.form.get("id", ""))


def ingest(visit: ConsoleVisit) -> Response:
    """An ingestion job of the source that the form names."""
    visit.api.client(_AGENT).start_ingestion_job(**_ids(visit))
    return visit.to(f"/knowledge/{visit.form.get('id', '')}")


def stop(visit: ConsoleVisit) -> Response:
    """The end of an ingestion job."""
    visit.api.client(_AGENT).stop_ingestion_job(**_ids(visit), ingestionJobId=visit.form.get("job", ""))
    return visit.to(f"/knowledge/{visit.form.get('id', '')}")


def delete_source(visit: ConsoleVisit) -> Response:
    visit.api.client(_AGENT).delete_data_source(**_ids(visit))
    return visit.to(f"/knowledge/{visit.form.get('id', '')}")


def delete(visit: ConsoleVisit) -> Response:
    visit.api.client(_AGENT).delete_knowledge_base(knowledgeBaseId=visit.form.get("id", ""))
    return visit.to("/knowledge")


def show_one(visit: ConsoleVisit) -> Response:
    """A knowledge base, in the view that the address names."""
    return _one(visit, _asked_id(visit))


def living_one(visit: ConsoleVisit) -> str:
    """The sources as they stand now."""
    return visit.text("knowledge_living.html", sources=_sources(visit, _asked_id(visit)), id=_asked_id(visit))


def passages(visit: ConsoleVisit) -> Response:
    """The passages of a document as they were cut; the one that was cited is marked."""
    base = visit.api.client(_AGENT).get_knowledge_base(knowledgeBaseId=_asked_id(visit))["knowledgeBase"]
    query: dict[str, str | list[str]] = {
        "knowledgeBase": base["knowledgeBaseArn"],
        "dataSource": visit.asked("source"),
        "document": visit.asked("document"),
        "most": str(_PASSAGES),
    }
    query |= {name: visit.asked(name) for name in ("first", "chunk") if visit.asked(name)}
    told = visit.api.own("/outcrop/passages", query)
    page = passages_page(told, visit.asked("chunk"), most=_PASSAGES)
    return visit.page("passages.html", base=base, page=page, source=visit.asked("source"))


def address_of(visit: ConsoleVisit, knowledge_base: str, told: Mapping[str, Any]) -> dict[str, str]:
    """A citation's reference for a page's script: the name of its file, its page, its text, and where it opens."""
    passage = cited_passage(told)
    there = visit.url(
        f"/knowledge/{knowledge_base}/passages",
        source=passage.source,
        document=passage.document,
        chunk=passage.chunk,
    )
    return {"name": passage.name, "page": passage.page, "text": passage.text, "address": f"{there}#cited"}


def _listed(visit: ConsoleVisit, form: KnowledgeForm, *, problem: str = "") -> Response:
    token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
    found = visit.api.listed(_AGENT, "list_knowledge_bases", "knowledgeBaseSummaries", maxResults=_PAGE, **token)
    models = visit.api.listed("bedrock", "list_foundation_models", "modelSummaries")
    roles = roles_for(visit, BEDROCK)
    return visit.page(
        "knowledge.html",
        status=400 if problem else 200,
        found=found,
        rows=knowledge_rows(found.items, visit.now, visit.language),
        encoders=[card for card in model_cards(models.items) if card.makes == "models.vectors"],
        models=models,
        buckets=_buckets(visit),
        strategies=STRATEGIES,
        roles=roles,
        form=form._replace(role=form.role or (roles[0] if roles else "")),
        problem=problem,
    )


def _with_source(visit: ConsoleVisit, form: KnowledgeForm, knowledge_base: str) -> Response:
    agent = visit.api.client(_AGENT)
    try:
        made = agent.create_data_source(**source_request(form, knowledge_base))["dataSource"]
        agent.start_ingestion_job(knowledgeBaseId=knowledge_base, dataSourceId=made["dataSourceId"])
    except ClientError as refusal:
        return _one(visit, knowledge_base, problem=refusal.response["Error"]["Message"], form=form)
    except ValueError as problem:
        return _one(visit, knowledge_base, problem=str(problem), form=form)
    return visit.to(f"/knowledge/{knowledge_base}")


def _one(visit: ConsoleVisit, knowledge_base: str, *, problem: str = "", form: KnowledgeForm | None = None) -> Response:
    base = visit.api.client(_AGENT).get_knowledge_base(knowledgeBaseId=knowledge_base)["knowledgeBase"]
    view = visit.asked("view") if visit.asked("view") in VIEWS else VIEWS[0]
    asking = {"sources": _ask_sources, "documents": _ask_documents, "search": _ask_search, "ask": _ask_models}[view]
    vectors = base["knowledgeBaseConfiguration"].get("vectorKnowledgeBaseConfiguration", {})
    return visit.page(
        f"knowledge_{view}.html",
        status=400 if problem else 200,
        base=base,
        id=knowledge_base,
        view=view,
        views=VIEWS,
        encoder=vectors.get("embeddingModelArn", "").rsplit("/", 1)[-1],
        problem=problem,
        form=form or KnowledgeForm(),
        **asking(visit, knowledge_base),
    )


def _ask_sources(visit: ConsoleVisit, knowledge_base: str) -> dict[str, Any]:
    sources = _sources(visit, knowledge_base)
    living = visit.text("knowledge_living.html", sources=sources, id=knowledge_base)
    return {"living": living, "sources": sources, "buckets": _buckets(visit), "strategies": STRATEGIES}


def _ask_documents(visit: ConsoleVisit, knowledge_base: str) -> dict[str, Any]:
    sources = visit.api.listed(
        _AGENT, "list_data_sources", "dataSourceSummaries", knowledgeBaseId=knowledge_base, maxResults=_PAGE
    )
    chosen = visit.asked("source") or (sources.items[0]["dataSourceId"] if sources.items else "")
    found = Listed([])
    if chosen:
        token = {"nextToken": visit.asked("after")} if visit.asked("after") else {}
        found = visit.api.listed(
            _AGENT,
            "list_knowledge_base_documents",
            "documentDetails",
            knowledgeBaseId=knowledge_base,
            dataSourceId=chosen,
            maxResults=_MOST_DOCUMENTS,
            **token,
        )
    rows = document_rows(found.items, visit.now, visit.language)
    return {"sources": sources, "chosen": chosen, "found": found, "rows": rows}


def _ask_search(visit: ConsoleVisit, knowledge_base: str) -> dict[str, Any]:
    query, results = visit.asked("q").strip(), visit.asked("n") if visit.asked("n") in _RESULTS else _RESULTS[0]
    search = visit.asked("type") if visit.asked("type") in SEARCHES else SEARCHES[0]
    hits = []
    if query:
        told = visit.api.client("bedrock-agent-runtime").retrieve(
            knowledgeBaseId=knowledge_base,
            retrievalQuery={"text": query},
            retrievalConfiguration={
                "vectorSearchConfiguration": {"numberOfResults": int(results), "overrideSearchType": search}
            },
        )
        hits = [cited_passage(each) for each in told["retrievalResults"]]
    return {
        "query": query, "hits": hits, "counts": _RESULTS, "count": results, "searches": SEARCHES, "search": search,
    }  # fmt: skip


def _ask_models(visit: ConsoleVisit, knowledge_base: str) -> dict[str, Any]:
    from outcrop.console.pages.playground import form_values

    return form_values(visit, most=1, knowledge_base=knowledge_base)


def _sources(visit: ConsoleVisit, knowledge_base: str) -> list[SourceView]:
    agent = visit.api.client(_AGENT)
    summaries = visit.api.listed(
        _AGENT, "list_data_sources", "dataSourceSummaries", knowledgeBaseId=knowledge_base, maxResults=_PAGE
    ).items
    found = []
    for each in summaries:
        ids = {"knowledgeBaseId": knowledge_base, "dataSourceId": each["dataSourceId"]}
        source = agent.get_data_source(**ids)["dataSource"]
        jobs = visit.api.listed(
            _AGENT, "list_ingestion_jobs", "ingestionJobSummaries", maxResults=_MOST_JOBS, **ids
        ).items
        # Of the newest job alone it is told why documents failed; the others stand in a line.
        newest = [agent.get_ingestion_job(**ids, ingestionJobId=each["ingestionJobId"]) for each in jobs[:1]]
        whole = [told["ingestionJob"] for told in newest] + jobs[1:]
        found.append(source_view(source, whole, visit.now, visit.language))
    return found


def _buckets(visit: ConsoleVisit) -> list[str]:
    return [each["Name"] for each in visit.api.listed("s3", "list_buckets", "Buckets").items]


def _ids(visit: ConsoleVisit) -> dict[str, str]:
    return {"knowledgeBaseId": visit.form.get("id", ""), "dataSourceId": visit.form.get("source", "")}


def _asked_id(visit: ConsoleVisit) -> str:
    """The knowledge base of the page's path, or of its event stream's query."""
    return str(visit.request.path_params.get("id", "")) or visit.asked("arn")
