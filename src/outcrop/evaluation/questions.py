"""Questions of an evaluation, read from files of every form that people keep them in.

{"prompt": "…", "referenceResponse": "…", "category": "…", "modelResponses": […]}    Bedrock's evaluation of models
{"conversationTurns": [{"prompt": …, "referenceResponses": […], "output": …}]}         and of retrieval
{"prompt": "…", "completion": "…"}, {"messages": […]}, {"input": "…"}                  records, as jobs learn from

The last turn of a conversation is its reference. `category` may stand in any of them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from outcrop.datasets import conversion, json_lines, shapes
from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.flaws import Flaw, ShapeError, kind
from outcrop.datasets.forms import form_of
from outcrop.datasets.problems import Counted, Problem, RecordError
from outcrop.datasets.raw_records import MAX_LINE_BYTES, RawRecord, open_raw
from outcrop.datasets.records import Conversation, PromptCompletion, Record, TextRecord

_OF_EVALUATION = ("referenceResponse", "referenceResponses", "modelResponses")
_TEXTS = ("input", "text")
"The one key, beside `category`, of a record that is a text and asks nothing."
_LINE = '{"prompt": "…", "referenceResponse": "…"}'
_CONTENT = '{"content": [{"text": "…"}]}'


@dataclass(frozen=True, kw_only=True)
class GivenAnswer:
    """An answer that came with its question, from a model that is not asked here."""

    text: str
    model: str
    passages: tuple[str, ...] = ()
    "Texts that were retrieved for it, of a retrieval's output."


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question with the answers that it should have; or a text, which is scored and asks nothing."""

    id: str
    "The file's name and the record's number in it: test.jsonl:12."
    line: int
    messages: tuple[Mapping[str, Any], ...]
    "{'role', 'content'}, the user's last; empty where it is a text."
    system: str | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    references: tuple[str, ...] = ()
    "Answers that are right, the likeliest first; of a text: the text."
    category: str | None = None
    given: tuple[GivenAnswer, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether it asks nothing, and is scored as a whole."""
        return not self.messages

    @property
    def prompt(self) -> str:
        """The user's last words, for scores and for people; empty where it is a text."""
        return str(self.messages[-1]["content"]) if self.messages else ""

    @property
    def reference(self) -> str | None:
        """The first of the references."""
        return self.references[0] if self.references else None

    @cached_property
    def digest(self) -> str:
        """Equal for questions that ask the same and have the same references, wherever they stand."""
        said = [self.system, *map(dict, self.messages), list(self.tools), list(self.references)]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @property
    def record(self) -> Record | None:
        """The training record that teaches the first reference; None where there is no reference."""
        if self.reference is None:
            return None
        if self.is_text:
            return TextRecord(text=self.reference, line=self.line)
        if len(self.messages) == 1 and self.system is None and not self.tools:
            return PromptCompletion(prompt=self.prompt, completion=self.reference, line=self.line)
        answer = {"role": "assistant", "content": self.reference}
        return Conversation(system=self.system, messages=(*self.messages, answer), tools=self.tools, line=self.line)


def read_file(path: Path, *, name: str | None = None) -> list[Question]:
    """The questions of a file. Raises RecordError with everything that is wrong with its records, by line and field."""
    name = name or path.name
    try:
        form = form_of(path)
        if form.refused is not None:
            raise RecordError([_whole(name, form.refused.what, form.refused.mend)])
        with open_raw(path, form, any_columns=True) as raw:
            return _read(raw.records, name, raw.counted)
    except ContainerError as error:
        raise RecordError([_whole(name, error.what, error.mend)]) from error


def read_questions(lines: Iterable[bytes], *, name: str) -> list[Question]:
    """The questions of JSON Lines. Raises RecordError with everything that is wrong, by line and field."""
    records = (RawRecord(number=number, content=line) for number, line in enumerate(lines, start=1))
    return _read(records, name, "line")


def _read(records: Iterable[RawRecord], name: str, counted: Counted) -> list[Question]:
    questions: list[Question] = []
    problems: list[Problem] = []
    for raw in records:
        try:
            value = _value(raw)
            if value is not None:
                questions.append(_question(value, f"{name}:{raw.number}", raw.number))
        except json_lines.JsonError as error:
            flaws = [Flaw(error.field, error.what, error.mend)]
            problems += _problems(name, raw.number, counted, flaws)
        except ShapeError as error:
            problems += _problems(name, raw.number, counted, error.flaws)
    if not questions and not problems:
        problems = [_whole(name, "no questions", f"Write one on each line: {_LINE}.")]
    if problems:
        raise RecordError(problems)
    return questions


def _value(raw: RawRecord) -> Any:
    """The JSON value of a record; None for a blank line."""
    if raw.flaw is not None:
        raise ShapeError([raw.flaw])
    if raw.content is None:
        return raw.value
    content = raw.content.removeprefix(b"\xef\xbb\xbf") if raw.number == 1 else raw.content
    if len(content) > MAX_LINE_BYTES:
        raise ShapeError([Flaw("", f"longer than {MAX_LINE_BYTES:,} bytes", "Write each question on its own line.")])
    return json_lines.parse(content) if content.strip() else None


def _question(value: Any, identifier: str, line: int) -> Question:
    if not isinstance(value, dict):
        raise ShapeError([Flaw("", f"expected an object, found {kind(value)}", f"Write {_LINE}.")])
    if "conversationTurns" in value:
        return _LineReader(value).retrieval(identifier, line)
    if any(key in value for key in _OF_EVALUATION) or ("prompt" in value and "completion" not in value):
        return _LineReader(value).model(identifier, line)
    category = value.get("category")
    if category is not None and not isinstance(category, str):
        raise ShapeError([Flaw("category", f"expected a string, found {kind(category)}", "Write its name.")])
    rest = {key: inside for key, inside in value.items() if key != "category"}
    return _of_record(_record(rest, line), identifier, category)


def _record(value: dict[str, Any], line: int) -> Record:
    if len(value) == 1 and next(iter(value)) in _TEXTS:
        return shapes.parse({"input": next(iter(value.values()))}, line=line, customization="CONTINUED_PRE_TRAINING")
    converted = conversion.convert(value, "FINE_TUNING")
    if converted is None:
        return shapes.parse(value, line=line, customization="FINE_TUNING")
    try:
        return shapes.parse(converted.value, line=line, customization="FINE_TUNING")
    except ShapeError as error:
        raise ShapeError([flaw._replace(field=converted.field_of(flaw.field)) for flaw in error.flaws]) from error


def _of_record(record: Record, identifier: str, category: str | None) -> Question:
    match record:
        case TextRecord():
            return Question(id=identifier, line=record.line, messages=(), references=(record.text,), category=category)
        case PromptCompletion():
            return Question(
                id=identifier,
                line=record.line,
                messages=({"role": "user", "content": record.prompt},),
                references=(record.completion,),
                category=category,
            )
        case Conversation():
            *asked, last = record.messages
            if last.get("tool_calls"):
                what = "the last turn calls tools, and answers are compared as texts"
                raise ShapeError([Flaw(f"messages[{len(asked)}]", what, "End with a turn of the assistant's words.")])
            return Question(
                id=identifier,
                line=record.line,
                messages=tuple(asked),
                system=record.system,
                tools=record.tools,
                references=(str(last["content"]),),
                category=category,
            )


class _LineReader:
    """Reads one of Bedrock's evaluation lines, on after a flaw."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._value = value
        self._flaws: list[Flaw] = []

    def model(self, identifier: str, line: int) -> Question:
        value = self._value
        self._only(value, ("prompt", *_OF_EVALUATION, "category"), "")
        prompt = self._text(value.get("prompt"), "prompt")
        reference = [] if value.get("referenceResponse") is None else [value["referenceResponse"]]
        references = [self._text(each, "referenceResponse") for each in reference]
        for number, each in enumerate(self._list(value.get("referenceResponses", []), "referenceResponses")):
            references.append(self._text(each, f"referenceResponses[{number}]"))
        given = [
            self._response(each, f"modelResponses[{number}]")
            for number, each in enumerate(self._list(value.get("modelResponses", []), "modelResponses"))
        ]
        return self._made(identifier, line, prompt, references, given)

    def retrieval(self, identifier: str, line: int) -> Question:
        self._only(self._value, ("conversationTurns", "category"), "")
        turns = self._list(self._value["conversationTurns"], "conversationTurns")
        if len(turns) != 1:
            what = f"{len(turns)} turns, and one question is asked at a time"
            self._say("conversationTurns", what, "Give each turn a line of its own.")
            raise ShapeError(self._flaws)
        turn = turns[0] if turns and isinstance(turns[0], dict) else {}
        at = "conversationTurns[0]"
        prompt = self._content(turn.get("prompt"), f"{at}.prompt")
        references = [
            self._content(each, f"{at}.referenceResponses[{number}]")
            for number, each in enumerate(self._list(turn.get("referenceResponses", []), f"{at}.referenceResponses"))
        ]
        given = [self._output(turn["output"], f"{at}.output")] if turn.get("output") is not None else []
        return self._made(identifier, line, prompt, references, given)

    def _made(
        self, identifier: str, line: int, prompt: str, references: list[str], given: list[GivenAnswer]
    ) -> Question:
        category = self._value.get("category")
        if category is not None:
            category = self._text(category, "category")
        if self._flaws:
            raise ShapeError(self._flaws)
        return Question(
            id=identifier,
            line=line,
            messages=({"role": "user", "content": prompt},),
            references=tuple(references),
            category=category,
            given=tuple(given),
        )

    def _response(self, given: Any, at: str) -> GivenAnswer:
        given = self._object(given, at, '{"response": "…", "modelIdentifier": "…"}')
        return GivenAnswer(
            text=self._text(given.get("response"), f"{at}.response", may_be_blank=True),
            model=self._text(given.get("modelIdentifier"), f"{at}.modelIdentifier"),
        )

    def _output(self, given: Any, at: str) -> GivenAnswer:
        given = self._object(given, at, '{"text": "…", "retrievedPassages": {"retrievalResults": […]}}')
        found = self._object(given.get("retrievedPassages", {}), f"{at}.retrievedPassages", _CONTENT)
        where = f"{at}.retrievedPassages.retrievalResults"
        passages = []
        for number, each in enumerate(self._list(found.get("retrievalResults", []), where)):
            inside = self._object(each, f"{where}[{number}]", '{"content": {"text": "…"}}')
            content = self._object(inside.get("content"), f"{where}[{number}].content", '{"text": "…"}')
            passages.append(self._text(content.get("text"), f"{where}[{number}].content.text"))
        named = given.get("modelIdentifier") or given.get("knowledgeBaseIdentifier")
        return GivenAnswer(
            text=self._text(given.get("text", ""), f"{at}.text", may_be_blank=True),
            model=self._text(named, f"{at}.modelIdentifier"),
            passages=tuple(passages),
        )

    def _content(self, given: Any, at: str) -> str:
        inside = self._object(given, at, _CONTENT)
        if not inside:
            return ""
        blocks = self._list(inside.get("content"), f"{at}.content")
        texts = [
            self._text(self._object(block, f"{at}.content[{number}]", '{"text": "…"}').get("text"), f"{at}.content")
            for number, block in enumerate(blocks)
        ]
        if not texts:
            self._say(f"{at}.content", "empty", f"Write {_CONTENT}.")
        return "\n".join(texts)

    def _text(self, given: Any, at: str, *, may_be_blank: bool = False) -> str:
        if isinstance(given, str) and (given.strip() or may_be_blank):
            return given
        what = "empty" if isinstance(given, str) else "missing" if given is None else f"found {kind(given)}"
        self._say(at, what if what in ("empty", "missing") else f"expected a string, {what}", "Write a text.")
        return ""

    def _list(self, given: Any, at: str) -> list[Any]:
        if not isinstance(given, list):
            self._say(at, "missing" if given is None else f"expected a list, found {kind(given)}", "Write a list.")
            return []
        return given

    def _object(self, given: Any, at: str, example: str) -> dict[str, Any]:
        if not isinstance(given, dict):
            what = "missing" if given is None else f"expected an object, found {kind(given)}"
            self._say(at, what, f"Write {example}.")
            return {}
        return given

    def _only(self, given: Mapping[str, Any], known: tuple[str, ...], at: str) -> None:
        for key in given:
            if key not in known:
                self._say(f"{at}{key}", "no part of an evaluation's line", f"Leave it out, or write {_LINE}.")

    def _say(self, field: str, what: str, mend: str) -> None:
        self._flaws.append(Flaw(field, what, mend))


def _problems(name: str, number: int, counted: Counted, flaws: Iterable[Flaw]) -> Iterator[Problem]:
    for flaw in flaws:
        yield Problem(name=name, line=number, field=flaw.field, what=flaw.what, mend=flaw.mend, counted=counted)


def _whole(name: str, what: str, mend: str) -> Problem:
    return Problem(name=name, line=None, field="", what=what, mend=mend)
