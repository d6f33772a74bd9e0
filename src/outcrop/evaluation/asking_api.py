"""Models asked through the API: by chat completions, or as the model of a knowledge base.

A name is a base model's id, an alias, a deployment, provisioned throughput, a custom model, a checkpoint
(`ft:BASE:outcrop:NAME:ckpt-step-40`), an imported or a remote model; ARNs do as well. A custom model is deployed when
it is first asked. `kb:NAME` or `kb:NAME@MODEL` is a knowledge base, with its passages or a model to answer.
"""

import asyncio
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from outcrop import arn as arns
from outcrop.errors import Denied, Invalid, ModelFailed, NotFound
from outcrop.evaluation.answers import AnswerSettings, EvaluatedAnswer, EvaluatedModel, LogProbabilities
from outcrop.evaluation.api_client import ApiClient
from outcrop.evaluation.questions import Question

KNOWLEDGE = "kb:"
_EXTRACTS = "outcrop.extractive-v1"
_NO_LIKELIHOOD = "A knowledge base answers with passages before it; how likely it holds a reference is not told."
_NO_QUESTION = "The record is a text and asks nothing."
_NO_REFERENCE = "The record has no reference answer."
_MODEL_OF = {
    "custom-model-deployment": ("get_custom_model_deployment", "customModelDeploymentIdentifier"),
    "provisioned-model": ("get_provisioned_model_throughput", "provisionedModelId"),
}
"What tells the model that a deployment serves, by the kind in its ARN."


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """The facts by which a model is known again, whatever it is called."""

    key: str
    "Equal only while the same weights answer, or as nearly so as the API tells."
    arn: str | None
    "The custom model's, where it is one."


class OpenedModel(EvaluatedModel, Protocol):
    """A model that is there, and known again by what it is."""

    @property
    def identity(self) -> ModelIdentity: ...


async def open_model(api: ApiClient, name: str) -> OpenedModel:
    """The model of a name. Raises NotFound for a name that stands for nothing."""
    if name.startswith(KNOWLEDGE):
        return await _knowledge_base(api, name)
    told = await _told(api, name)
    return ApiModel(api=api, name=name, asked=str(told["id"]), identity=await _identity(api, told))


@dataclass(frozen=True, kw_only=True)
class ApiModel:
    """A model behind chat completions."""

    api: ApiClient
    name: str
    asked: str
    "The name that is sent."
    identity: ModelIdentity

    async def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | str:
        if question.is_text:
            return _NO_QUESTION
        body = {
            **_messages(self.asked, question),
            "max_completion_tokens": settings.max_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": settings.seed,
        }
        began = time.monotonic()
        try:
            told = await self.api.post("/chat/completions", body)
        except (Invalid, ModelFailed) as refused:
            return refused.message
        (choice,), usage = told["choices"], told["usage"]
        return EvaluatedAnswer(
            text=choice["message"]["content"] or "",
            num_prompt_tokens=usage["prompt_tokens"],
            num_completion_tokens=usage["completion_tokens"],
            stop_reason=choice["finish_reason"],
            seconds=time.monotonic() - began,
        )

    async def score_reference(self, question: Question) -> LogProbabilities | str:
        reference = question.reference
        if reference is None:
            return _NO_REFERENCE
        began = time.monotonic()
        try:
            told = await self._scored(question, reference)
        except (Invalid, ModelFailed) as refused:
            return refused.message
        logprobs, num_read = told
        return LogProbabilities(
            nats=math.fsum(logprobs),
            num_tokens=len(logprobs),
            num_bytes=len(reference.encode()),
            seconds=time.monotonic() - began,
            num_prompt_tokens=num_read - len(logprobs),
        )

    async def _scored(self, question: Question, reference: str) -> tuple[list[float], int]:
        """The log probabilities of the reference's tokens, and how many tokens were read."""
        if question.is_text:
            body = {"model": self.asked, "prompt": reference, "max_tokens": 0, "echo": True, "logprobs": 0}
            told = await self.api.post("/completions", body)
            found = told["choices"][0]["logprobs"]["token_logprobs"]
            return [each for each in found if each is not None], told["usage"]["prompt_tokens"]
        asked = _messages(self.asked, question)
        messages = [*asked["messages"], {"role": "assistant", "content": reference}]
        body = {**asked, "messages": messages, "echo": True, "logprobs": True}
        told = await self.api.post("/chat/completions", body)
        content = told["choices"][0]["logprobs"]["content"]
        return [each["logprob"] for each in content], told["usage"]["prompt_tokens"]


@dataclass(frozen=True, kw_only=True)
class KnowledgeBaseModel:
    """A knowledge base that answers, by RetrieveAndGenerate."""

    api: ApiClient
    name: str
    knowledge_base: str
    model: str
    identity: ModelIdentity

    async def answer(self, question: Question, settings: AnswerSettings) -> EvaluatedAnswer | str:
        if question.is_text:
            return _NO_QUESTION
        if len(question.messages) > 1 or question.system is not None:
            return "A knowledge base is asked one question at a time, without turns before it and a system message."
        runtime = self.api.client("bedrock-agent-runtime")
        began = time.monotonic()
        try:
            told = await asyncio.to_thread(runtime.retrieve_and_generate, **self._request(question, settings))
        except Exception as error:
            return _told_by(error)
        return EvaluatedAnswer(
            text=told["output"]["text"],
            num_prompt_tokens=None,
            num_completion_tokens=None,
            stop_reason="end_turn",
            seconds=time.monotonic() - began,
            passages=tuple(
                each["content"]["text"]
                for citation in told.get("citations", [])
                for each in citation.get("retrievedReferences", [])
            ),
        )

    async def score_reference(self, question: Question) -> LogProbabilities | str:
        del question
        return _NO_LIKELIHOOD

    def _request(self, question: Question, settings: AnswerSettings) -> dict[str, Any]:
        configuration: dict[str, Any] = {"knowledgeBaseId": self.knowledge_base, "modelArn": self.model}
        if self.model != _EXTRACTS:
            inference = {
                "maxTokens": settings.max_tokens,
                "temperature": settings.temperature,
                "topP": settings.top_p,
            }
            configuration["generationConfiguration"] = {
                "additionalModelRequestFields": {"outcrop_answering": "generative", "seed": settings.seed},
                "inferenceConfig": {"textInferenceConfig": inference},
            }
        return {
            "input": {"text": question.prompt},
            "retrieveAndGenerateConfiguration": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": configuration,
            },
        }


def _messages(asked: str, question: Question) -> dict[str, Any]:
    system = [] if question.system is None else [{"role": "system", "content": question.system}]
    tools = {"tools": list(question.tools)} if question.tools else {}
    return {"model": asked, "messages": [*system, *question.messages], **tools}


def _told_by(error: Exception) -> str:
    """The sentence of a refusal by boto3. Raises Denied, and whatever is no refusal."""
    told = getattr(error, "response", None)
    if not isinstance(told, Mapping):
        raise error
    message, code = str(told["Error"].get("Message", "")), str(told["Error"].get("Code", ""))
    if code == "AccessDeniedException":
        raise Denied(message) from error
    if code == "ResourceNotFoundException":
        raise NotFound(message) from error
    return message


async def _told(api: ApiClient, name: str) -> dict[str, Any]:
    try:
        return await api.model(name)
    except NotFound:
        imported = await asyncio.to_thread(_imported, api, name)
        if imported is not None:
            return imported
        raise NotFound(
            f"{name}: there is no such model. `outcrop models` lists base models, `outcrop deployments` what serves "
            "custom ones, and a custom model may be called by its own name."
        ) from None


def _imported(api: ApiClient, name: str) -> dict[str, Any] | None:
    """An imported model, which OpenAI's door knows by its ARN alone."""
    bedrock = api.client("bedrock")
    try:
        told = bedrock.get_imported_model(modelIdentifier=name)
    except Exception as error:
        _told_missing(error)
        return None
    return {"id": told["modelArn"], "arn": told["modelArn"], "created": int(told["creationTime"].timestamp())}


def _told_missing(error: Exception) -> None:
    """Raises what is no refusal of the name."""
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))
    if code not in ("ResourceNotFoundException", "ValidationException"):
        raise error


async def _identity(api: ApiClient, told: Mapping[str, Any]) -> ModelIdentity:
    arn = told.get("arn")
    parsed = arns.parse(arn) if arn else None
    if arn is None or parsed is None:
        return ModelIdentity(key=f"{told['id']} of {told['created']}", arn=None)
    if parsed.kind in _MODEL_OF:
        operation, member = _MODEL_OF[parsed.kind]
        served = await asyncio.to_thread(getattr(api.client("bedrock"), operation), **{member: arn})
        arn = str(served["modelArn"])
        parsed = arns.parse(arn)
    is_custom = parsed is not None and parsed.kind == "custom-model"
    return ModelIdentity(key=str(arn), arn=str(arn) if is_custom else None)


async def _knowledge_base(api: ApiClient, name: str) -> KnowledgeBaseModel:
    asked, at, model = name.removeprefix(KNOWLEDGE).partition("@")
    if not asked or (at and not model):
        raise Invalid(f"{name}: write kb:NAME for sentences of its passages, or kb:NAME@MODEL for a model's answer.")
    base, state = await asyncio.to_thread(_base_and_state, api, asked)
    if not model:
        return KnowledgeBaseModel(
            api=api, name=name, knowledge_base=base, model=_EXTRACTS, identity=ModelIdentity(key=state, arn=None)
        )
    opened = await open_model(api, model)
    assert isinstance(opened, ApiModel), "a knowledge base is no model of another"
    told = await _told(api, model)
    identity = ModelIdentity(key=f"{state} with {opened.identity.key}", arn=opened.identity.arn)
    return KnowledgeBaseModel(
        api=api, name=name, knowledge_base=base, model=str(told.get("arn") or opened.asked), identity=identity
    )


def _base_and_state(api: ApiClient, asked: str) -> tuple[str, str]:
    """The id of a knowledge base, by id or name, and a text that changes with what is in it."""
    agent = api.client("bedrock-agent")
    pages = agent.get_paginator("list_knowledge_bases").paginate()
    found = [
        each["knowledgeBaseId"]
        for page in pages
        for each in page["knowledgeBaseSummaries"]
        if asked in (each["knowledgeBaseId"], each["name"])
    ]
    if not found:
        raise NotFound(f"{KNOWLEDGE}{asked}: there is no such knowledge base. `outcrop knowledge list` shows them.")
    (base,) = found
    states = []
    for source in agent.list_data_sources(knowledgeBaseId=base)["dataSourceSummaries"]:
        newest = agent.list_ingestion_jobs(
            knowledgeBaseId=base,
            dataSourceId=source["dataSourceId"],
            sortBy={"attribute": "STARTED_AT", "order": "DESCENDING"},
            maxResults=1,
        )["ingestionJobSummaries"]
        states.append(newest[0]["ingestionJobId"] if newest else source["dataSourceId"])
    return base, f"{base} after {', '.join(sorted(states))}"
