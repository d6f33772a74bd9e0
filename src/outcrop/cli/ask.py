"""`outcrop ask`: a question to a knowledge base, or a talk; each sentence with the passages it stands on."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from outcrop import arn as arns
from outcrop.cli.answer_shown import AnswerShown
from outcrop.cli.export import client, clients
from outcrop.cli.knowledge_bases import KnowledgeBaseName, find_knowledge_base
from outcrop.cli.tables import width
from outcrop.errors import Invalid
from outcrop.settings import Settings

EXTRACTS = "outcrop.extractive-v1"
"Answers without `--model` are sentences of the passages."
ANSWERING, SUPPORTED = "x-outcrop-answering", "x-outcrop-supported"
_GENERATIVE = {
    "additionalModelRequestFields": {"outcrop_answering": "generative"},
    "inferenceConfig": {"textInferenceConfig": {"maxTokens": 512}},
}
"A model that is named is meant. A small one may not find the end of its answer."
_MOST_RESULTS = 100
_TOLD_ONCE = "Sentences of the passages, as they stand. --model MODEL lets a model answer."


@dataclass(frozen=True, kw_only=True)
class AskOptions:
    """How a knowledge base is asked."""

    model: str | None
    session: str | None
    results: int
    full: bool
    "Passages are shown whole."
    as_json: bool


def ask(settings: Settings, asked: str, question: str | None, options: AskOptions, *, region: str | None) -> int:
    """Answer one question, or where none is given, one after the other, in one session. Raises Invalid, NotFound."""
    if not 1 <= options.results <= _MOST_RESULTS:
        raise Invalid(f"--results: {options.results} is out of range. Give a number from 1 to {_MOST_RESULTS}.")
    base = find_knowledge_base(clients(settings, "bedrock-agent", region), asked)
    talk = _Talk(settings, base, options)
    if question is not None:
        if not question.strip():
            raise Invalid("ask: the question is empty.")
        talk.answer(question)
        talk.tell_session()
        return 0
    for each in _questions():
        talk.answer(each)
    talk.tell_session()
    return 0


def _questions() -> Iterator[str]:
    """The questions that are typed, until Ctrl-D; of what is piped, one a line."""
    if not sys.stdin.isatty():
        yield from (line.strip() for line in sys.stdin if line.strip())
        return
    with suppress(ImportError):
        import readline  # noqa: F401 (with it, input() has a history, and lines can be edited)
    print("Ask; Ctrl-D ends the talk.")
    while True:
        try:
            typed = input("\n> ").strip()
        except EOFError:
            print()
            return
        if typed:
            yield typed


class _Talk:
    """Questions in a session of one knowledge base."""

    def __init__(self, settings: Settings, base: KnowledgeBaseName, options: AskOptions) -> None:
        self._runtime = client(settings, "bedrock-agent-runtime", base.region)
        self._base = base
        self._options = replace(options, model=_model_of(settings, base.region, options.model))
        self._session = options.session
        self._told_extracts = False

    def answer(self, question: str) -> None:
        """Ask, and print the answer."""
        request = self._request(question)
        if self._options.as_json:
            self._print_json(self._runtime.retrieve_and_generate(**request))
            return
        told = self._runtime.retrieve_and_generate_stream(**request)
        self._session = told["sessionId"]
        shown = AnswerShown(width=width(), full=self._options.full)
        for event in told["stream"]:
            if "citation" in event:
                shown.add(event["citation"])
        shown.finish()
        if told["ResponseMetadata"]["HTTPHeaders"].get(ANSWERING) == "extractive" and shown.has_passages:
            self._tell_extracts()

    def tell_session(self) -> None:
        """Say how the talk goes on, where somebody reads it."""
        if self._session is not None and not self._options.as_json and sys.stdout.isatty():
            print(f'\nTo go on: outcrop ask {self._base.name} --session {self._session} "…"')

    def _tell_extracts(self) -> None:
        if not self._told_extracts and self._options.model == EXTRACTS:
            print(f"\n{_TOLD_ONCE}")
        self._told_extracts = True

    def _request(self, question: str) -> dict[str, Any]:
        model = self._options.model
        search = {"vectorSearchConfiguration": {"numberOfResults": self._options.results}}
        configuration: dict[str, Any] = {
            "knowledgeBaseId": self._base.id,
            "modelArn": model,
            "retrievalConfiguration": search,
        }
        if model != EXTRACTS:
            configuration["generationConfiguration"] = _GENERATIVE
        request: dict[str, Any] = {
            "input": {"text": question},
            "retrieveAndGenerateConfiguration": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": configuration,
            },
        }
        return {**request, **({"sessionId": self._session} if self._session else {})}

    def _print_json(self, answer: dict[str, Any]) -> None:
        self._session = answer["sessionId"]
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        told = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
        told |= {"answering": headers[ANSWERING], "supported": float(headers[SUPPORTED])}
        print(json.dumps(told, indent=2, ensure_ascii=False, default=str))


def _model_of(settings: Settings, region: str, asked: str | None) -> str:
    """The model to name in a request: a deployment by its name too; none: extracts."""
    if asked is None or arns.parse(asked) is not None:
        return asked or EXTRACTS
    bedrock = client(settings, "bedrock", region)
    try:
        found = bedrock.get_custom_model_deployment(customModelDeploymentIdentifier=asked)
    except ClientError:
        return asked  # the id of a base model; the runtime says where it is none
    return str(found["customModelDeploymentArn"])
