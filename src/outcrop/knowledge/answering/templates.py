"""Prompt templates: Bedrock's placeholders, and the templates that are used where a request brings none of its own.

    $query$  $search_results$  $output_format_instructions$  $current_time$  $conversation_history$

Anything else between dollar signs is a part of the text. What is put in is not searched for placeholders again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from outcrop.errors import Invalid
from outcrop.knowledge.passages import Found


class Placeholder(StrEnum):
    """The placeholders of templates."""

    QUERY = "$query$"
    SEARCH_RESULTS = "$search_results$"
    OUTPUT_FORMAT_INSTRUCTIONS = "$output_format_instructions$"
    CURRENT_TIME = "$current_time$"
    CONVERSATION_HISTORY = "$conversation_history$"


GENERATION = """\
Answer the question from the search results below and from nothing else. Answer in the language of the question, in a \
few plain sentences. If the search results do not hold the answer, say only that you could not find it in them.

Search results:
$search_results$

$output_format_instructions$

Question: $query$"""
REWRITING = """\
Below is a conversation, and the question that follows it. Write the question so that it can be understood without \
the conversation: put names and things in the place of words such as it, that and there. Do not answer it.

Conversation:
$conversation_history$

Question: $query$

$output_format_instructions$"""
DECOMPOSITION = """\
Divide the question into the simple questions that have to be looked up to answer it, five at most. If it is simple \
already, repeat it. Do not answer.

Question: $query$

Write one question a line, and nothing else."""
CITING = (
    "Behind each sentence of your answer, write the number of the search result that it comes from in square brackets, "
    "as in [1]."
)
ONLY_QUESTION = "Write the question alone, in one line."
_PLACEHOLDERS = re.compile("|".join(re.escape(each) for each in Placeholder))


@dataclass(frozen=True, kw_only=True)
class PromptTemplate:
    """The text of a prompt with placeholders."""

    text: str

    def has(self, placeholder: Placeholder) -> bool:
        return placeholder in self.text

    def filled(self, values: Mapping[Placeholder, str]) -> str:
        """The text with values in the place of placeholders; one without a value is left empty."""
        return _PLACEHOLDERS.sub(lambda found: values.get(Placeholder(found[0]), ""), self.text)


def read_generation(shape: Mapping[str, str] | None, *, at: str) -> PromptTemplate:
    """The template of a generation. Raises Invalid for one without a place for the search results."""
    text = (shape or {}).get("textPromptTemplate")
    if text is None:
        return PromptTemplate(text=GENERATION)
    template = PromptTemplate(text=text)
    if not template.has(Placeholder.SEARCH_RESULTS):
        raise Invalid(
            f"{at}.textPromptTemplate: {Placeholder.SEARCH_RESULTS} is not in it, so the model would see no passage. "
            "Put it where the search results belong."
        )
    return template


def read_rewriting(shape: Mapping[str, str] | None) -> PromptTemplate | None:
    """The request's own template with which a question is written anew."""
    text = (shape or {}).get("textPromptTemplate")
    return None if text is None else PromptTemplate(text=text)


def told_results(passages: Sequence[tuple[Found, str]]) -> str:
    """The passages as a prompt shows them: by numbers from 1, with their headings, and so much text of each."""
    return "\n\n".join(f"[{number}] {_told(found, text)}" for number, (found, text) in enumerate(passages, 1))


def _told(found: Found, text: str) -> str:
    above = " > ".join(found.passage.headings)
    return f"{above}\n{text.strip()}" if above and not text.lstrip().startswith(above) else text.strip()
