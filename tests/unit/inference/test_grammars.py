"""Grammars over a model's vocabulary: what may come next, when an answer is whole, and what is no grammar."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outcrop.errors import Invalid, ModelFailed
from outcrop.inference.grammars import Grammars, GrammarState
from outcrop.invocation.exchange import AnswerForm, ChatPrompt, Grammar, JsonSchema, Tool
from outcrop.invocation.grammar import grammar_of
from outcrop.tokens import prompt_format
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.thought_tags import ThoughtPlace, ThoughtTags
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.tokens.tool_calls import read_calls
from tests.support.chat_templates import SPECIAL_TOKENS, TEXT_TOKENS, WITH_TOOLS
from tests.support.small_tokenizers import byte_level

TAGS = ThoughtTags("<think>", "</think>")
TOOLS = (
    Tool(
        name="weather",
        schema={
            "type": "object",
            "properties": {
                "city": {"enum": ["Oslo", "Rome"]},
                "days": {"$ref": "#/$defs/days"},
                "note": {"type": "string", "maxLength": 4},
            },
            "$defs": {"days": {"type": "integer", "minimum": 1, "maximum": 9}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
        strict=True,
    ),
    Tool(name="add-up", schema={"type": "object", "properties": {"x": {"type": "boolean"}}, "additionalProperties": False}),
)  # fmt: skip


class Place:
    """A tokenizer with the grammars over it."""

    def __init__(self, folder: Path, template: str = WITH_TOOLS["hermes"], *, num_more_ids: int = 0) -> None:
        byte_level(folder, chat_template=template, special=SPECIAL_TOKENS, added=TEXT_TOKENS)
        self.tokenizer = Tokenizer.open(folder)
        self.grammars = Grammars(folder, self.tokenizer.vocab_size + num_more_ids)
        self.stops = prompt_format.stop_ids(self.tokenizer, PromptFormat.CHAT)

    def text(self, ids: Sequence[int]) -> str:
        special = self.tokenizer.special_ids
        return b"".join(
            (self.tokenizer.token(one) or "").encode() if one in special else self.tokenizer.bytes_of(one)
            for one in ids
        ).decode("utf-8", "replace")

    def next(self, state: GrammarState) -> set[str]:
        return {self.text([one]) for one in np.flatnonzero(state.allowed(self.stops)).tolist()}

    def walk(self, grammar: str, numbers: random.Random, most: int = 2000) -> str:
        """An answer of tokens drawn at random among those that may come, up to its end."""
        state = self.grammars.begin(grammar)
        ids: list[int] = []
        while len(ids) < most:
            token = numbers.choice(np.flatnonzero(state.allowed(self.stops)).tolist())
            if token in self.stops:
                return self.text(ids)
            ids.append(token)
            if state.take(token):
                return self.text(ids)
        raise AssertionError(f"no end: {self.text(ids)[:200]}")

    def held(self, **prompt: Any) -> str:
        form: AnswerForm | None = prompt.pop("form", None)
        thought = prompt.pop("thought", ThoughtPlace.NONE)
        grammar = grammar_of(
            self.tokenizer,
            ChatPrompt(messages=[{"role": "user", "content": "x"}], **prompt),
            form,
            syntax=prompt_format.chat_habits(self.tokenizer).tool_syntax,
            stop_ids=self.stops,
            thought=thought,
            tags=TAGS,
        )
        assert grammar is not None
        self.grammars.compile(grammar)
        return grammar


def test_only_what_goes_on_in_the_grammar_may_come_and_the_end_only_when_it_is_whole(tmp_path: Path) -> None:
    place = Place(tmp_path)
    ends = {place.text([one]) for one in place.stops}
    state = place.grammars.begin("start: /a|an|and?y/")
    assert place.next(state) == {"a", "an"}
    (an,) = place.tokenizer.encode("an", begin=False)
    assert not state.take(an)
    assert place.next(state) == {"d", "y"} | ends
    (y,) = place.tokenizer.encode("y", begin=False)
    assert state.take(y)


def test_two_answers_of_one_grammar_do_not_meet(tmp_path: Path) -> None:
    place = Place(tmp_path)
    one, other = place.grammars.begin('start: "ab"'), place.grammars.begin('start: "ab"')
    one.take(place.tokenizer.encode("a", begin=False)[0])
    assert place.next(one) == {"b"}
    assert place.next(other) == {"a"}


def test_ids_beyond_the_tokenizer_never_come(tmp_path: Path) -> None:
    place = Place(tmp_path, num_more_ids=40)
    state = place.grammars.begin("start: /(?s:.)*/")
    allowed = np.flatnonzero(state.allowed(place.stops))
    assert len(allowed) > 0
    assert max(allowed) < place.tokenizer.vocab_size


@pytest.mark.parametrize(
    ("grammar", "problem"),
    [
        ('start: "a" foo', 'The form of the answer cannot be used: at 1(8): unknown name: "foo".'),
        ("", "The form of the answer cannot be used: "),
        ("start: /(a/", "The form of the answer cannot be used: at 1(8): invalid regex"),
        ('start: %json {"type": "foo"}', "The form of the answer cannot be used: at 1(8): failed to compile JSON schema: Invalid type: foo."),
        ("start: /a/ # " + "x" * 2**20, "The form of the answer has more than 1,048,576 letters. Make it smaller."),
    ],
    ids=["an unknown name", "nothing", "no expression", "no schema", "too long"],
)  # fmt: skip
def test_what_is_no_grammar_is_refused_in_a_sentence(grammar: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        Place(tmp_path).grammars.compile(grammar)
    assert refused.value.message.startswith(problem)


def test_a_token_that_may_not_come_is_a_failure_of_this_answer_alone(tmp_path: Path) -> None:
    place = Place(tmp_path)
    state = place.grammars.begin('start: "ab"')
    with pytest.raises(ModelFailed, match="The form of the answer cannot be held"):
        state.take(place.tokenizer.encode("b", begin=False)[0])


def test_the_least_used_grammars_are_forgotten_and_compiled_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for number in range(80):
        place.grammars.compile(f'start: "{number}"')
    assert place.next(place.grammars.begin('start: "0"')) == {"0"}


@pytest.mark.parametrize("choice", ["any", "tool:weather"])
@pytest.mark.parametrize("name", list(WITH_TOOLS))
def test_whatever_is_drawn_where_a_tool_must_be_called_is_read_as_calls(name: str, choice: str, tmp_path: Path) -> None:
    place = Place(tmp_path, WITH_TOOLS[name])
    grammar = place.held(tools=TOOLS, tool_choice=choice)
    syntax = prompt_format.chat_habits(place.tokenizer).tool_syntax
    assert syntax is not None
    names = set()
    for seed in range(16):
        calls = read_calls(syntax, place.walk(grammar, random.Random(seed)), {tool.name: tool.schema for tool in TOOLS})
        assert calls
        assert choice == "any" or len(calls) == 1
        for call in calls:
            names.add(call.name)
            if call.name == "weather":
                assert call.arguments["city"] in ("Oslo", "Rome")
                assert 1 <= call.arguments["days"] <= 9
    assert names == ({"weather", "add-up"} if choice == "any" else {"weather"})


@pytest.mark.parametrize("name", ["hermes", "mistral", "llama3"])
def test_a_strict_tool_leaves_words_free_and_holds_the_call(name: str, tmp_path: Path) -> None:
    place = Place(tmp_path, WITH_TOOLS[name])
    grammar = place.held(tools=TOOLS)
    syntax = prompt_format.chat_habits(place.tokenizer).tool_syntax
    assert syntax is not None

    def allowed(text: str) -> bool:
        state = place.grammars.begin(grammar)
        for token in place.tokenizer.encode(text, begin=False):
            if not state.allowed(place.stops)[token]:
                return False
            state.take(token)
        return True

    before = syntax.before + ("[" if syntax.in_list else "")
    arguments = f'"{syntax.arguments_key}"'
    assert allowed("Some words, and { braces }.")
    assert allowed(f'{before}{{"name": "weather", {arguments}: {{"city": "Oslo", "days": 3}}')
    assert not allowed(f'{before}{{"name": "weather", {arguments}: {{"city": "Bergen"')
    assert not allowed(f'{before}{{"name": "rain"')


def test_a_form_beside_tools_is_a_call_or_the_form(tmp_path: Path) -> None:
    place = Place(tmp_path)
    grammar = place.held(
        tools=TOOLS[1:], form=JsonSchema(schema={"type": "array", "items": {"const": 1}, "maxItems": 2})
    )
    told = {place.walk(grammar, random.Random(seed))[0] for seed in range(12)}
    assert told == {"<", "["}


def test_a_thought_comes_before_the_form_where_the_model_thinks(tmp_path: Path) -> None:
    place = Place(tmp_path)
    form = JsonSchema(schema={"const": {"a": 1}})
    opened = place.held(form=form, thought=ThoughtPlace.OPENED)
    state = place.grammars.begin(opened)
    for token in place.tokenizer.encode("hm, {well} <b>\n</think>\n\n", begin=False):
        assert state.allowed(place.stops)[token]
        state.take(token)
    assert place.next(state) == {"{"}
    possible = place.grammars.begin(place.held(form=form, thought=ThoughtPlace.POSSIBLE))
    assert place.next(possible) == {"{", "<", "<think>"}


def test_an_expression_holds_the_whole_answer(tmp_path: Path) -> None:
    place = Place(tmp_path)
    grammar = place.held(form=Grammar(text=r"\d{2}/\d{2}", kind="regex"))
    drawn = place.walk(grammar, random.Random(3))
    assert (len(drawn), drawn[2], drawn.replace("/", "").isdigit()) == (5, "/", True)


def test_names_and_texts_of_any_letters_are_written_into_the_grammar(tmp_path: Path) -> None:
    place = Place(tmp_path)
    schema = {"const": {'a"b\\n\n猫/': ["{}</tool_call>", "%json", "# no comment"]}}
    drawn = place.walk(place.held(form=JsonSchema(schema=schema)), random.Random(0))
    assert json.loads(drawn) == schema["const"]
