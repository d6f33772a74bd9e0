"""Questions that a job asks a knowledge base under its role: Retrieve and RetrieveAndGenerate without a request.

    knowledge = RoleKnowledge(house=house, role_arn=role, region=region)
    knowledge.check(params)                                       # at creation: all that can be refused early
    found = await knowledge.retrieve(params)                      # results as Retrieve tells them
    answered = await knowledge.retrieve_and_generate(params, turns)

`params` are those of the operations. No session is kept: the turns before a question come with it. The role is asked
each time what it allows: bedrock:Retrieve, bedrock:RetrieveAndGenerate, bedrock:InvokeModel and bedrock:Rerank.
"""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from anyio import to_thread

from outcrop import arn as arns
from outcrop.access.needs.named import FOUNDATION, Named
from outcrop.access.policies.evaluation import Decision
from outcrop.errors import Invalid
from outcrop.invocation.background import models
from outcrop.invocation.exchange import uncounted
from outcrop.invocation.resolve import NO_TEXT
from outcrop.invocation.target import EncoderTarget
from outcrop.knowledge import retrieving, searching
from outcrop.knowledge.answering import answering
from outcrop.knowledge.answering.answering import AskedQuestion
from outcrop.knowledge.answering.answering_model import (
    AnsweringModel,
    answering_model,
    extracting,
    is_extractive,
)
from outcrop.knowledge.answering.citations import CitedPart
from outcrop.knowledge.answering.closeness import closeness_of
from outcrop.knowledge.answering.questioning import Questioned, read_question
from outcrop.knowledge.answering.talks import TalkTurn
from outcrop.knowledge.answering.writing import Tally, Writer
from outcrop.knowledge.passage_members import citation_of, reference_of, result_of
from outcrop.knowledge.retrieving import RerankingPlan
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.searching import SearchedKnowledgeBase

GENERATING = "retrieveAndGenerateConfiguration"
"The member that a question to RetrieveAndGenerate has, and one to Retrieve has not."


@dataclass(frozen=True, kw_only=True)
class KnowledgeAnswer:
    """An answer from passages, as RetrieveAndGenerate tells it, with the passages that it was made from."""

    text: str
    citations: list[dict[str, Any]]
    passages: list[dict[str, Any]]
    "References, as citations have them."


@dataclass(frozen=True, kw_only=True)
class RoleKnowledge:
    """The knowledge bases of a region as one role may ask them."""

    house: KnowledgeRooms
    role_arn: str
    region: str

    def check(self, params: Mapping[str, Any]) -> None:
        """Raises Invalid, NotFound for a question that cannot be asked, or not under this role."""
        if GENERATING in params:
            asked = read_question(params)
            if asked.guardrail is not None:
                raise _unguarded()
            if not isinstance(asked.sources, str):
                raise Invalid(
                    f"{GENERATING}.externalSourcesConfiguration: a job asks knowledge bases. Put the document into one."
                )
            self._check_may("bedrock:RetrieveAndGenerate", "*")
            self._check_base(asked.sources)
            if not is_extractive(asked.model_arn):
                models.check_may_invoke(self.house, self.role_arn, asked.model_arn)
            self._check_reranking(asked.retrieval.reranking)
            return
        if params.get("guardrailConfiguration"):
            raise _unguarded()
        retrieving.read_query(params["retrievalQuery"])
        plan = retrieving.read_plan(params.get("retrievalConfiguration"), at="retrievalConfiguration")
        self._check_base(params["knowledgeBaseId"])
        self._check_reranking(plan.reranking)

    async def retrieve(self, params: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The results of Retrieve, the best first. Raises as the operation does."""
        await to_thread.run_sync(self.check, params)
        plan = retrieving.read_plan(params.get("retrievalConfiguration"), at="retrievalConfiguration")
        opened = await to_thread.run_sync(self._open, params["knowledgeBaseId"], plan.reranking)
        found = await retrieving.retrieve(opened.search, retrieving.read_query(params["retrievalQuery"]), plan)
        return [result_of(each, opened.custom) for each in found[: plan.most]]

    async def retrieve_and_generate(
        self, params: Mapping[str, Any], turns: Sequence[tuple[str, str]] = ()
    ) -> KnowledgeAnswer:
        """The answer to a question behind earlier questions with their answers. Raises as the operation does."""
        await to_thread.run_sync(self.check, params)
        asked = read_question(params)
        assert isinstance(asked.sources, str), "a job asks knowledge bases"
        model = await to_thread.run_sync(self._model, asked)
        opened = await to_thread.run_sync(self._open, asked.sources, asked.retrieval.reranking)
        planned = await answering.plan(self._question(asked, model, opened, turns))
        texts, parts = list[str](), list[CitedPart]()
        async with aclosing(planned.items(False)) as items:
            async for item in items:
                if isinstance(item, CitedPart):
                    parts.append(item)
                else:
                    texts.append(item)
        return KnowledgeAnswer(
            text="".join(texts),
            citations=[citation_of(part, planned.passages, opened.custom) for part in parts],
            passages=[reference_of(each, opened.custom) for each in planned.passages],
        )

    def _question(
        self, asked: Questioned, model: AnsweringModel, opened: SearchedKnowledgeBase, turns: Sequence[tuple[str, str]]
    ) -> AskedQuestion:
        clock = self.house.clock
        writer = None if model.target is None else Writer(target=model.target, now=clock.now, tally=Tally(uncounted))
        return AskedQuestion(
            text=asked.text,
            retrieve=lambda question: retrieving.retrieve(opened.search, question, asked.retrieval),
            most=asked.retrieval.most,
            writer=writer,
            now=clock.now(),
            turns=tuple(TalkTurn(question=question, answer=answer) for question, answer in turns),
            template=asked.template,
            settings=asked.settings,
            orchestration=asked.orchestration,
            closeness=closeness_of(opened.search.encoder),
        )

    def _model(self, asked: Questioned) -> AnsweringModel:
        arn, answers = asked.model_arn, asked.settings.answering
        if is_extractive(arn):
            return extracting(answers)
        target = models.target_of(self.house, arn)
        if isinstance(target, EncoderTarget):
            raise Invalid(NO_TEXT)
        parsed = arns.parse(arn)
        kind = "" if parsed is None else parsed.kind
        foundation = self.house.catalog.find(arn) if kind == FOUNDATION else None
        return answering_model(Named(kind=kind, arn=arn, is_known=True, foundation=foundation), target, answers)

    def _open(self, identifier: str, reranking: RerankingPlan | None) -> SearchedKnowledgeBase:
        opened = searching.open_search(self.house, self.region, identifier)
        if reranking is None:
            return opened
        found = models.target_of(self.house, reranking.model_arn)
        return opened.reranked_by(searching.reranker_in(found, reranking.model_arn))

    def _check_base(self, identifier: str) -> None:
        base = self.house.knowledge_bases.find(self.region, identifier)
        self._check_may("bedrock:Retrieve", base.arn)

    def _check_reranking(self, reranking: RerankingPlan | None) -> None:
        if reranking is not None:
            self._check_may("bedrock:Rerank", "*")
            models.check_may_invoke(self.house, self.role_arn, reranking.model_arn)

    def _check_may(self, action: str, resource: str) -> None:
        context = {"aws:RequestedRegion": self.region}
        if self.house.access.role_may(self.role_arn, action, resource, context) is not Decision.ALLOWED:
            raise Invalid(
                f"The role {self.role_arn} does not allow {action} on {resource}; allow it with iam.put_role_policy."
            )


def _unguarded() -> Invalid:
    return Invalid(
        "guardrailConfiguration: a job asks without guardrails in Outcrop. Leave guardrailConfiguration out."
    )
