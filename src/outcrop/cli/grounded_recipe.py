"""`outcrop data grounded`: questions and answers behind the passages that a knowledge base finds, through the API."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from outcrop import settings as settings_of
from outcrop.cli.export import client
from outcrop.cli.recipe_options import RecipeOptions, prepare, source_files
from outcrop.knowledge.answering.grounding import grounded_answer
from outcrop.knowledge.passages import DocumentKey, Found, Passage
from outcrop.knowledge.reserved import CHUNK_ID, DATA_SOURCE_ID
from outcrop.knowledge.retrieving import HEADINGS
from outcrop.recipes import grounded as recipe


def add_to(app: App) -> None:
    """Add the command to `outcrop data`."""
    app.command(grounded)


def grounded(
    *sources: Path,
    knowledge_base: Annotated[str, Parameter(help="The id of the knowledge base that is searched.")],
    passages: Annotated[int, Parameter(help="Passages of each prompt, 1 to 100.")] = 5,
    options: RecipeOptions,
) -> int:
    """Questions with answers, behind the passages that a knowledge base finds; the answers cite them."""
    files = source_files(sources)
    runtime = client(settings_of.read(home=options.home), "bedrock-agent-runtime")
    ground = grounding(runtime, knowledge_base, passages)
    told = {"knowledge-base": knowledge_base, "passages": passages}
    return prepare(recipe.grounded, files, recipe.grounded(files, ground=ground), options, told=told)


def grounding(runtime: Any, knowledge_base: str, num_passages: int) -> recipe.Ground:
    """Grounds answers in a knowledge base, by a boto3 client of bedrock-agent-runtime."""

    def ground(question: str, answer: str) -> recipe.GroundedAnswer | str:
        told = runtime.retrieve(
            knowledgeBaseId=knowledge_base,
            retrievalQuery={"text": question},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": num_passages}},
        )
        return asyncio.run(grounded_answer(question, answer, _passages(told["retrievalResults"])))

    return ground


def _passages(results: Sequence[Mapping[str, Any]]) -> list[Found]:
    """The passages that Retrieve tells, as an answer is made from them."""
    found = []
    for result in results:
        text, metadata = result["content"]["text"], result.get("metadata", {})
        location = result["location"]
        is_custom = "customDocumentLocation" in location
        identifier = location["customDocumentLocation"]["id"] if is_custom else location["s3Location"]["uri"]
        passage = Passage(
            chunk_id=metadata[CHUNK_ID], text=text, headings=tuple(metadata.get(HEADINGS, ())), start=0, end=len(text)
        )
        key = DocumentKey(metadata[DATA_SOURCE_ID], identifier)
        found.append(Found(document=key, passage=passage, text=text, metadata=metadata, score=result["score"]))
    return found
