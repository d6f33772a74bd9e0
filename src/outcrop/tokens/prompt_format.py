"""The prompt format of a model, and token ids of prompts in that format, the same in training and serving.

A model may see the raw prompt (text), its chat template (chat), or a text of the user's with the prompt in its place.
Training encodes with `text_steps`, `pair_steps` and `chat_steps`, many records at a time (tokens/batches.py); serving
with `encode_prompt`, `encode_asked` and `encode_chat_prompt`. The ids a model is served are exactly those it was
trained behind.
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar

from outcrop.errors import Invalid
from outcrop.tokens import end_tokens, thought_tags
from outcrop.tokens.batches import Steps, alone
from outcrop.tokens.chat_template import Messages, Options, Tools
from outcrop.tokens.template_habits import TemplateHabits, habits_of
from outcrop.tokens.tokenizer import PlacedText, TextPlace, Tokenizer

PROMPT, SYSTEM = "{prompt}", "{system}"


@dataclass(frozen=True)
class PromptFormat:
    """The form a model is spoken to in; kept with every custom model."""

    value: str
    "`text`, `chat`, or a text with {prompt} in it, and {system} where system messages belong."
    today: datetime | None = None
    "The day for chat templates that write one: that of the training; None for the clock's."

    TEXT: ClassVar["PromptFormat"]
    CHAT: ClassVar["PromptFormat"]

    def __post_init__(self) -> None:
        problem = format_problem(self.value)
        if problem:
            raise Invalid(f"prompt format: {problem}")

    @property
    def is_chat(self) -> bool:
        return self.value == "chat"

    @property
    def is_text(self) -> bool:
        return self.value == "text"


def format_problem(value: object) -> str | None:
    """Why a value is no prompt format, or None."""
    if value in ("text", "chat"):
        return None
    if not isinstance(value, str) or value.count(PROMPT) != 1 or value.count(SYSTEM) > 1:
        return (
            f"{str(value)[:100]!r} is none. Choose text, chat, or a text of your own with {PROMPT} in it once, and "
            f"{SYSTEM} at most once."
        )
    return None


PromptFormat.TEXT = PromptFormat("text")
PromptFormat.CHAT = PromptFormat("chat")


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """A training pair: only the completion is learned; it ends with the end-of-sequence token."""

    prompt_ids: list[int]
    completion_ids: list[int]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A stretch of a conversation; `supervised` when it is what the assistant says, its end token included."""

    ids: list[int]
    supervised: bool


def format_of_base(tokenizer: Tokenizer) -> PromptFormat:
    """A base model is spoken to through its chat template when it has one."""
    return PromptFormat.TEXT if tokenizer.chat_template is None else PromptFormat.CHAT


def format_of_pairs(tokenizer: Tokenizer) -> PromptFormat:
    """The default format of prompts with completions: the chat template that can be had (docs/defaults.md)."""
    form = format_of_base(tokenizer)
    return form if form.is_text or chat_problem(tokenizer) is None else PromptFormat.TEXT


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """A whole document, as continued pre-training learns it; its end token stands there once, whoever wrote it."""
    return alone(tokenizer, text_steps(tokenizer, text))


def text_steps(tokenizer: Tokenizer, text: str) -> Steps[list[int]]:
    """Steps to what `encode_text` gives."""
    text = end_tokens.cut(text, tokenizer.eos_spellings)
    (ids,) = yield [PlacedText(text, TextPlace.BEGINNING)]
    return [*ids, tokenizer.eos_id]


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """A raw prompt, as it is served and as it stands before a completion in training."""
    return tokenizer.encode(prompt, begin=True)


def encode_pair(tokenizer: Tokenizer, prompt: str, completion: str, form: PromptFormat = PromptFormat.TEXT) -> Encoded:
    """A training pair, its two parts encoded apart: in serving, nobody knows the completion beforehand."""
    return alone(tokenizer, pair_steps(tokenizer, prompt, completion, form))


def pair_steps(tokenizer: Tokenizer, prompt: str, completion: str, form: PromptFormat) -> Steps[Encoded]:
    """Steps to what `encode_pair` gives."""
    if form.is_chat:
        turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        ((question, answer),) = yield from chat_steps(tokenizer, turns, today=form.today)
        return Encoded(prompt_ids=question.ids, completion_ids=answer.ids)
    prompt = prompt if form.is_text else _filled(form, prompt, None)
    completion = end_tokens.cut(completion, tokenizer.eos_spellings)
    prompt_ids, completion_ids = yield [
        PlacedText(prompt, TextPlace.BEGINNING),
        PlacedText(completion, TextPlace.CONTINUATION),
    ]
    return Encoded(prompt_ids=prompt_ids, completion_ids=[*completion_ids, tokenizer.eos_id])


def encode_asked(tokenizer: Tokenizer, form: PromptFormat, prompt: str) -> list[int]:
    """A prompt that came without turns, in the model's form, unless its writer has put it into that form already."""
    if form.is_text or _is_written(tokenizer, form, prompt):
        return encode_prompt(tokenizer, prompt)
    return encode_conversation(tokenizer, form, [{"role": "user", "content": prompt}])


def encode_conversation(
    tokenizer: Tokenizer,
    form: PromptFormat,
    messages: Messages,
    system: str | None = None,
    *,
    tools: Tools = (),
    options: Options | None = None,
) -> list[int]:
    """A conversation in the model's form. Raises TemplateRefused when a chat template does not take it.

    Tools and options are for chat templates that have them.
    """
    if form.is_chat:
        return encode_chat_prompt(tokenizer, messages, system, today=form.today, tools=tools, options=options)
    if form.is_text:
        return encode_prompt(tokenizer, text_prompt(messages, system))
    begun = messages[-1]["content"] if messages[-1]["role"] == "assistant" else ""
    asked = messages[:-1] if begun else messages
    said = text_prompt(asked).removesuffix(f"\n{_SPEAKER['assistant']}:")
    ids = encode_prompt(tokenizer, _filled(form, said, system))
    return ids + tokenizer.encode(begun, begin=False) if begun else ids


def encode_reference(
    tokenizer: Tokenizer,
    form: PromptFormat,
    messages: Messages,
    reference: str,
    system: str | None = None,
    *,
    tools: Tools = (),
) -> Encoded:
    """A conversation with the answer that it should have, as a record of the two is learned.

    Its loss is that of the record. Raises TemplateRefused when a chat template does not take it.
    """
    if form.is_chat:
        turns = [*messages, {"role": "assistant", "content": reference}]
        spans = encode_chat(tokenizer, turns, system, today=form.today, tools=tools)[-1]
        last = max(number for number, span in enumerate(spans) if span.supervised)
        before = [token for span in spans[:last] for token in span.ids]
        return Encoded(prompt_ids=before, completion_ids=spans[last].ids)
    prompt_ids = encode_conversation(tokenizer, form, messages, system)
    said = end_tokens.cut(reference, tokenizer.eos_spellings)
    return Encoded(prompt_ids=prompt_ids, completion_ids=[*tokenizer.encode(said, begin=False), tokenizer.eos_id])


def encode_chat(
    tokenizer: Tokenizer,
    messages: Messages,
    system: str | None = None,
    *,
    today: datetime | None = None,
    tools: Tools = (),
) -> list[list[Span]]:
    """A training conversation as the sequences it is learned in: every assistant turn, with the token that ends it.

    One sequence where the template keeps earlier turns as they were when they were last; else one for each answer,
    behind the prompt it is served behind. A span ends where the assistant stops speaking; what a template writes after
    that, a line break say, belongs to the next unsupervised span, for in serving generation has ended by then.
    Raises Invalid for `tools`, calls and results where the template does not write all of them.
    """
    return alone(tokenizer, chat_steps(tokenizer, messages, system, today=today, tools=tools))


def chat_steps(
    tokenizer: Tokenizer,
    messages: Messages,
    system: str | None = None,
    *,
    today: datetime | None = None,
    tools: Tools = (),
) -> Steps[list[list[Span]]]:
    """Steps to what `encode_chat` gives."""
    chat = _Chat(tokenizer, today, tools)
    if tools or any(turn["role"] == "tool" or "tool_calls" in turn for turn in messages):
        _check_tools(tokenizer)
    turns = chat.turns(messages, system)
    places = [number for number, turn in enumerate(turns) if turn["role"] == "assistant"]
    prompts = [chat.text(turns[:place], answer=True) for place in places]
    answers = [chat.answer(turns[: place + 1], prompt) for place, prompt in zip(places, prompts, strict=True)]
    whole = prompts[0] + answers[0] if len(places) == 1 else chat.text(turns, answer=False)
    prompt_ids, answer_ids = yield from _encoded(chat, prompts, answers)
    if _is_one_sequence(whole, prompts, answers):
        return [(yield from _in_one_sequence(prompts, answers, prompt_ids, answer_ids))]
    return [_spans(*one) for one in zip(prompt_ids, answer_ids, strict=True)]


def encode_chat_prompt(
    tokenizer: Tokenizer,
    messages: Messages,
    system: str | None = None,
    *,
    today: datetime | None = None,
    tools: Tools = (),
    options: Options | None = None,
) -> list[int]:
    """The conversation up to the point where the assistant speaks; a last assistant turn is spoken on.

    Raises TemplateRefused when the template does not take such a conversation.
    """
    chat = _Chat(tokenizer, today, tools, options or {})
    turns = chat.turns(messages, system)
    spoken = turns[-1]["role"] == "assistant"
    prompt = chat.text(turns[:-1] if spoken else turns, answer=True)
    begun = _without_opened(prompt, turns[-1]["content"]) if spoken else ""
    ids = chat.encode(prompt)
    return ids + tokenizer.encode(begun, begin=False) if begun else ids


def join_blocks(texts: Sequence[str]) -> str:
    """The text of a turn from its several content blocks, in records and in requests alike."""
    return "\n".join(texts)


def text_prompt(messages: Messages, system: str | None = None) -> str:
    """The conversation as a model of raw prompts sees it. A single user turn stays as it is, several become a
    transcript."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        said = messages[0]["content"]
    else:
        lines = [f"{_SPEAKER[message['role']]}: {message['content']}" for message in messages]
        said = "\n".join(lines if messages[-1]["role"] == "assistant" else [*lines, "Bot:"])
    return f"{system}\n\n{said}" if system else said


def stop_ids(tokenizer: Tokenizer, prompt_format: PromptFormat) -> tuple[int, ...]:
    """The token ids that end an answer. They are the model's own, and in a chat the one that ends a turn of its
    template."""
    if not prompt_format.is_chat:
        return tokenizer.eos_ids
    return tuple(dict.fromkeys([*tokenizer.eos_ids, chat_habits(tokenizer).end_id]))


def chat_problem(tokenizer: Tokenizer) -> Invalid | None:
    """Why no conversation can be had through the model's chat template, or None."""
    try:
        chat_habits(tokenizer)
    except Invalid as problem:
        return problem
    return None


def chat_habits(tokenizer: Tokenizer) -> TemplateHabits:
    """The treatment of a conversation by the model's chat template, or by the plain form in its place."""
    chat = _Chat(tokenizer, None)

    def render(messages: Messages, answer: bool, tools: Tools) -> str:
        return replace(chat, tools=tools).text(messages, answer=answer)

    return habits_of(tokenizer, render)


def _check_tools(tokenizer: Tokenizer) -> None:
    if not chat_habits(tokenizer).writes_tools:
        raise Invalid(
            "tools, and the base model's chat template does not write tools, their calls and results. Choose a base "
            "model whose template has tools, or write the calls as text."
        )


_SPEAKER = {"user": "User", "assistant": "Bot"}


@dataclass(frozen=True)
class _Chat:
    """Conversations through one tokenizer's template on one day."""

    tokenizer: Tokenizer
    today: datetime | None
    tools: Tools = ()
    options: Options = field(default_factory=dict)

    def turns(self, messages: Messages, system: str | None) -> Messages:
        """All turns; what the assistant says ends where its words end, for the template writes the end token."""
        ends = self.tokenizer.eos_spellings | {self._end}
        said = [self._said(turn, ends) if turn["role"] == "assistant" else turn for turn in messages]
        return [{"role": "system", "content": system}, *said] if system else said

    def text(self, messages: Messages, *, answer: bool) -> str:
        if self.tokenizer.chat_template is None:
            return _plain_chat(messages, self.tokenizer.token(self.tokenizer.eos_id) or "", answer=answer)
        return self.tokenizer.chat_text(
            messages, add_generation_prompt=answer, today=self.today, tools=self.tools, options=self.options
        )

    def _said(self, turn: Mapping[str, Any], ends: Set[str]) -> Mapping[str, Any]:
        turn = self._with_thought(turn)
        return {**turn, "content": end_tokens.cut(turn["content"], ends)}

    def _with_thought(self, turn: Mapping[str, Any]) -> Mapping[str, Any]:
        """A turn with what the assistant thought before it, where the template reads that, or between its tags."""
        thought, template = turn.get("reasoning_content"), self.tokenizer.chat_template
        if not thought or (template is not None and template.mentions("reasoning_content")):
            return turn
        plain = {key: value for key, value in turn.items() if key != "reasoning_content"}
        tags = thought_tags.tags_of(self.tokenizer)
        if tags is None:
            return plain
        return {**plain, "content": f"{tags.opening}\n{thought}\n{tags.closing}\n\n{turn['content']}"}

    @property
    def place(self) -> TextPlace:
        """The place of a conversation's text: a template writes the token that begins it by itself."""
        return TextPlace.BEGINNING if self.tokenizer.chat_template is None else TextPlace.RENDERED

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode_text(PlacedText(text, self.place))

    def answer(self, turns: Messages, prompt: str) -> str:
        """The text that the model must write after `prompt` for the last turn to stand there, its end token
        included."""
        content = turns[-1]["content"]
        rendered = self.text(turns, answer=False)
        said = content.strip()  # many templates trim what is said
        found = rendered.find(said, len(prompt)) if rendered.startswith(prompt) else -1
        stop = rendered.find(self._end, found + len(said)) if found >= 0 else -1
        if stop >= 0:
            return rendered[len(prompt) : stop + len(self._end)]
        if "tool_calls" in turns[-1]:
            raise Invalid(f"{self.tokenizer.name}: its chat template writes a call otherwise than it asks for one.")
        # The template writes a finished answer otherwise than it asks for one: it opens a thought, say, and takes
        # thoughts out of what was said. Then the record's own words are learned.
        return _without_opened(prompt, content if content in rendered else said) + self._end

    @property
    def _end(self) -> str:
        return self.tokenizer.token(chat_habits(self.tokenizer).end_id) or ""


def _encoded(
    chat: _Chat, prompts: Sequence[str], answers: Sequence[str]
) -> Steps[tuple[Sequence[list[int]], Sequence[list[int]]]]:
    asked = [PlacedText(prompt, chat.place) for prompt in prompts] + [
        PlacedText(said, TextPlace.CONTINUATION) for said in answers
    ]
    ids = yield asked
    return ids[: len(prompts)], ids[len(prompts) :]


def _is_one_sequence(whole: str, prompts: Sequence[str], answers: Sequence[str]) -> bool:
    """Whether no answer is written otherwise once more turns follow."""
    text_end = 0
    for prompt, said in zip(prompts, answers, strict=True):
        if not whole.startswith(prompt + said) or len(prompt) < text_end:
            return False
        text_end = len(prompt) + len(said)
    return True


def _in_one_sequence(
    prompts: Sequence[str],
    answers: Sequence[str],
    prompt_ids: Sequence[list[int]],
    answer_ids: Sequence[list[int]],
) -> Steps[list[Span]]:
    spans: list[Span] = []
    so_far: list[int] = []
    text_end = 0
    for prompt, said, served, answer in zip(prompts, answers, prompt_ids, answer_ids, strict=True):
        question = served[len(so_far) :]
        if served[: len(so_far)] != so_far:
            # The prompt is served encoded as a whole. Only when that disagrees with the turns already encoded (an
            # answer whose own pieces merge otherwise with its neighbours) is the new part encoded by itself.
            (question,) = yield [PlacedText(prompt[text_end:], TextPlace.CONTINUATION)]
        spans += _spans(question, answer)
        so_far += question + answer
        text_end = len(prompt) + len(said)
    return spans


def _spans(question: list[int], answer: list[int]) -> list[Span]:
    return [Span(ids=question, supervised=False), Span(ids=answer, supervised=True)]


_OPENED = re.compile(r"(<[^<>\s]+>|\[[^\[\]\s]+\])\s*$")


def _without_opened(prompt: str, said: str) -> str:
    """The answer without its opening tag, such as <think>, where the prompt already ends in that tag."""
    opened = _OPENED.search(prompt)
    if opened is None or not said.lstrip().startswith(opened.group(1)):
        return said
    rest = said.lstrip().removeprefix(opened.group(1))
    return rest.removeprefix("\n") if opened.group().endswith("\n") else rest


def _plain_chat(messages: Messages, end: str, *, answer: bool) -> str:
    """A conversation for a model that has no chat template of its own.

    No space stands at the end of the part the model continues: "Bot: " would leave a lone space token there, which
    hardly any text the model has read contains.
    """
    written = {"system": "{}\n\n", "user": "User: {}\n", "assistant": f"Bot:\n{{}}{end}\n"}
    said = "".join(written[turn["role"]].replace("{}", turn["content"], 1) for turn in messages)
    return f"{said}Bot:\n" if answer else said


def _is_written(tokenizer: Tokenizer, form: PromptFormat, prompt: str) -> bool:
    if form.is_chat:
        habits = chat_habits(tokenizer)
        ends = bool(habits.before_answer) and prompt.rstrip().endswith(habits.before_answer)
        return ends or any(spelling in prompt for spelling in habits.special_spellings)
    before, after = (part.strip() for part in form.value.replace(SYSTEM, "").split(PROMPT))
    written = prompt.strip().startswith(before) and prompt.strip().endswith(after)
    return bool(before or after) and written


def _filled(form: PromptFormat, prompt: str, system: str | None) -> str:
    """The user's own text around a prompt; what is put in is not looked through for places again."""
    if SYSTEM not in form.value:
        prompt = f"{system}\n\n{prompt}" if system else prompt
    places = {PROMPT: prompt, SYSTEM: system or ""}
    return re.sub(f"{re.escape(PROMPT)}|{re.escape(SYSTEM)}", lambda place: places[place.group()], form.value)
