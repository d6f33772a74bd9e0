"""Turns of a conversation with a retrieval system, as a line of an evaluation's data set has them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop.datasets import json_lines
from outcrop.datasets.flaws import Flaw, kind

MOST_TURNS = 5
_TURN = '{"prompt": {"content": [{"text": "…"}]}, "referenceResponses": [{"content": [{"text": "…"}]}]}'
_RESULTS = ("retrievedResults", "retrievedPassages")
"Members of an output that hold passages: the first of a retrieval alone, the second of answers."


@dataclass(frozen=True, kw_only=True)
class GivenOutput:
    """The answer of the customer's own system."""

    source: str
    "The knowledgeBaseIdentifier."
    text: str | None
    passages: tuple[str, ...]
    citations: tuple[Mapping[str, Any], ...]
    "As RetrieveAndGenerate tells them."
    raw: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class EvaluationTurn:
    """A question with what its answer is held against, and the answers that were brought along."""

    question: str
    references: tuple[str, ...] = ()
    reference_passages: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    "Answers of models, by their identifiers."
    output: GivenOutput | None = None
    "Of a retrieval system."


def read_turns(line: bytes) -> tuple[Mapping[str, Any], list[EvaluationTurn], list[Flaw]]:
    """The line as JSON, its turns, and its flaws; where there is one, the turns are not to be used."""
    try:
        value = json_lines.parse(line.removeprefix(b"\xef\xbb\xbf"))
    except json_lines.JsonError as error:
        return {}, [], [Flaw(error.field, error.what, error.mend)]
    if not isinstance(value, dict):
        return (
            {},
            [],
            [Flaw("", f"expected an object, found {kind(value)}", f'Write {{"conversationTurns": [{_TURN}]}}.')],
        )
    reader = _TurnReader()
    return value, reader.turns(value), reader.flaws


class _TurnReader:
    """Reads on after a flaw."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []

    def turns(self, value: Mapping[str, Any]) -> list[EvaluationTurn]:
        turns = self._list(value.get("conversationTurns"), "conversationTurns")
        if value.get("conversationTurns") == []:
            self._say("conversationTurns", "empty", f"Write {_TURN}.")
        if len(turns) > MOST_TURNS:
            self._say("conversationTurns", f"{len(turns)} turns, and at most {MOST_TURNS} are taken", "Shorten it.")
        return [self._turn(each, f"conversationTurns[{number}]") for number, each in enumerate(turns)]

    def _turn(self, value: Any, at: str) -> EvaluationTurn:
        turn = self._object(value, at, _TURN)
        output = turn.get("output")
        return EvaluationTurn(
            question=self._content(turn.get("prompt"), f"{at}.prompt"),
            references=self._contents(turn.get("referenceResponses", []), f"{at}.referenceResponses"),
            reference_passages=self._contents(turn.get("referenceContexts", []), f"{at}.referenceContexts"),
            output=None if output is None else self._output(output, f"{at}.output"),
        )

    def _output(self, value: Any, at: str) -> GivenOutput:
        given = self._object(value, at, '{"knowledgeBaseIdentifier": "…", "text": "…"}')
        text = given.get("text")
        if text is not None and not isinstance(text, str):
            self._say(f"{at}.text", f"expected a string, found {kind(text)}", "Write the answer.")
        passages: list[str] = []
        for member in _RESULTS:
            results = self._object(given.get(member, {}), f"{at}.{member}", '{"retrievalResults": […]}')
            where = f"{at}.{member}.retrievalResults"
            for number, each in enumerate(self._list(results.get("retrievalResults", []), where)):
                passages.append(self._passage(each, f"{where}[{number}]"))
        citations = self._list(given.get("citations", []), f"{at}.citations")
        return GivenOutput(
            source=self._text(given.get("knowledgeBaseIdentifier"), f"{at}.knowledgeBaseIdentifier"),
            text=text if isinstance(text, str) else None,
            passages=tuple(passages),
            citations=tuple(self._citation(each, f"{at}.citations[{n}]") for n, each in enumerate(citations)),
            raw=given,
        )

    def _citation(self, value: Any, at: str) -> Mapping[str, Any]:
        """A citation whose members are of the kinds that their readers expect."""
        citation = self._object(value, at, '{"generatedResponsePart": …, "retrievedReferences": […]}')
        part = self._object(citation.get("generatedResponsePart", {}), f"{at}.generatedResponsePart", "{…}")
        said = self._object(part.get("textResponsePart", {}), f"{at}.generatedResponsePart.textResponsePart", "{…}")
        self._text(said.get("text"), f"{at}.generatedResponsePart.textResponsePart.text")
        references = self._list(citation.get("retrievedReferences", []), f"{at}.retrievedReferences")
        for number, each in enumerate(references):
            self._passage(each, f"{at}.retrievedReferences[{number}]")
        return citation

    def _passage(self, value: Any, at: str) -> str:
        inside = self._object(value, at, '{"content": {"text": "…"}}')
        content = self._object(inside.get("content"), f"{at}.content", '{"text": "…"}')
        return self._text(content.get("text"), f"{at}.content.text")

    def _contents(self, value: Any, at: str) -> tuple[str, ...]:
        return tuple(self._content(each, f"{at}[{number}]") for number, each in enumerate(self._list(value, at)))

    def _content(self, value: Any, at: str) -> str:
        blocks = self._list(self._object(value, at, '{"content": [{"text": "…"}]}').get("content"), f"{at}.content")
        texts = [
            self._text(self._object(each, f"{at}.content[{number}]", '{"text": "…"}').get("text"), f"{at}.content")
            for number, each in enumerate(blocks)
        ]
        if blocks == [] and not self.flaws:
            self._say(f"{at}.content", "empty", 'Write [{"text": "…"}].')
        return "\n".join(texts)

    def _text(self, value: Any, at: str) -> str:
        if isinstance(value, str) and value.strip():
            return value
        what = "missing" if value is None else "blank" if isinstance(value, str) else f"found {kind(value)}"
        self._say(at, what if what in ("missing", "blank") else f"expected a string, {what}", "Write a text.")
        return ""

    def _list(self, value: Any, at: str) -> list[Any]:
        if isinstance(value, list):
            return value
        self._say(at, "missing" if value is None else f"expected a list, found {kind(value)}", "Write a list.")
        return []

    def _object(self, value: Any, at: str, example: str) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        what = "missing" if value is None else f"expected an object, found {kind(value)}"
        self._say(at, what, f"Write {example}.")
        return {}

    def _say(self, where: str, what: str, mend: str) -> None:
        self.flaws.append(Flaw(where, what, mend))
