"""In which form a model is spoken to, and the ids of prompts in that form, the same in training and in serving.

A model trained on prompt/completion or plain text is TEXT: it sees the raw prompt. One trained on conversations is
CHAT: it sees its chat template. Training encodes with `encode_pair` and `encode_chat`, serving with `encode_prompt`
and `encode_chat_prompt`; the ids a model is served are exactly those it was trained behind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from outcrop.errors import Invalid
from outcrop.tokens.chat_template import ChatTemplate, Messages
from outcrop.tokens.tokenizer import Tokenizer


class PromptFormat(StrEnum):
    TEXT = "text"
    CHAT = "chat"


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


def encode_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """A whole document, as continued pre-training learns it."""
    return [*tokenizer.encode(text, begin=True), tokenizer.eos_id]


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """A raw prompt, as it is served and as it stands before a completion in training."""
    return tokenizer.encode(prompt, begin=True)


def encode_pair(tokenizer: Tokenizer, prompt: str, completion: str) -> Encoded:
    """A training pair, its two parts encoded apart: in serving, nobody knows the completion beforehand."""
    return Encoded(
        prompt_ids=encode_prompt(tokenizer, prompt),
        completion_ids=[*tokenizer.encode(completion, begin=False), tokenizer.eos_id],
    )


def encode_chat(tokenizer: Tokenizer, messages: Messages, system: str | None = None) -> list[Span]:
    """A training conversation: every assistant turn is supervised, with the token that ends it.

    A span ends where the assistant stops speaking; what a template writes after that, a line break say, belongs to the
    next unsupervised span, for in serving generation has ended by then. Raises Invalid where the template does not
    keep earlier text as it is, or writes no end token: such a conversation would be trained other than it is served.
    """
    turns = _with_system(messages, system)
    end = end_of_turn(tokenizer)
    whole = _chat_text(tokenizer, turns, answer=False)
    spans: list[Span] = []
    so_far: list[int] = []
    text_end = 0
    for number, turn in enumerate(turns):
        if turn["role"] != "assistant":
            continue
        prompt = _chat_text(tokenizer, turns[:number], answer=True)
        start, text_begin = len(prompt), text_end
        text_end = _end_of_answer(tokenizer, whole, start, turn["content"], end)
        if not whole.startswith(prompt) or start < text_begin or text_end < 0:
            raise Invalid(
                f"messages[{number - len(turns) + len(messages)}]: the chat template of {tokenizer.name} writes this "
                "turn otherwise once more turns follow, so it cannot be trained as it would be served. "
                "Give the record one assistant turn, or use a base model with another template."
            )
        question = _ids_after(tokenizer, so_far, prompt, prompt[text_begin:])
        answer = tokenizer.encode(whole[start:text_end], begin=False)
        assert answer[-1] == end, "the end token was encoded as something else"
        spans += [Span(ids=question, supervised=False), Span(ids=answer, supervised=True)]
        so_far += question + answer
    return spans


def encode_chat_prompt(tokenizer: Tokenizer, messages: Messages, system: str | None = None) -> list[int]:
    """The conversation up to the point where the assistant speaks; a last assistant turn is spoken on.

    Raises TemplateRefused when the template does not take such a conversation.
    """
    turns = _with_system(messages, system)
    begun = turns[-1]["content"] if turns[-1]["role"] == "assistant" else ""
    asked = turns[:-1] if turns[-1]["role"] == "assistant" else turns
    ids = _encode_rendered(tokenizer, _chat_text(tokenizer, asked, answer=True))
    return ids + tokenizer.encode(begun, begin=False) if begun else ids


def join_blocks(texts: Sequence[str]) -> str:
    """One turn's text from its several content blocks, in records and in requests alike."""
    return "\n".join(texts)


def text_prompt(messages: Messages, system: str | None = None) -> str:
    """The conversation as a model of raw prompts sees it: a single user turn as it is, several as a transcript."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        said = messages[0]["content"]
    else:
        lines = [f"{_SPEAKER[message['role']]}: {message['content']}" for message in messages]
        said = "\n".join(lines if messages[-1]["role"] == "assistant" else [*lines, "Bot:"])
    return f"{system}\n\n{said}" if system else said


def stop_ids(tokenizer: Tokenizer, prompt_format: PromptFormat) -> tuple[int, ...]:
    """The ids that end an answer: the model's own, and in a chat the one that ends a turn of its template."""
    if prompt_format is PromptFormat.TEXT:
        return tokenizer.eos_ids
    return tuple(dict.fromkeys([*tokenizer.eos_ids, end_of_turn(tokenizer)]))


def end_of_turn(tokenizer: Tokenizer) -> int:
    """The special token the chat template writes after an assistant's words, found by rendering a short chat."""
    probe = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
    rendered = _chat_text(tokenizer, probe, answer=False)
    after = tokenizer.encode(rendered[rendered.rindex("answer") + len("answer") :], begin=False)
    for token_id in after:
        if token_id in tokenizer.special_ids:
            return token_id
    raise Invalid(
        f"{tokenizer.name}: its chat template writes no special token after the assistant's words, so an answer would "
        "never end. Write eos_token there."
    )


_SPEAKER = {"user": "User", "assistant": "Bot"}

# For conversations with a model that has no chat template of its own. No space stands at the end of the part the model
# continues: "Bot: " would leave a lone space token there, which hardly any text the model has read contains.
_PLAIN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\n' }}"
    "{% else %}{{ 'Bot:\n' + message['content'] + eos_token + '\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Bot:\n' }}{% endif %}"
)


def _chat_text(tokenizer: Tokenizer, messages: Messages, *, answer: bool) -> str:
    if tokenizer.chat_template is not None:
        return tokenizer.chat_template.render(messages, add_generation_prompt=answer)
    tokens = {"eos_token": tokenizer.token(tokenizer.eos_id) or ""}
    plain = ChatTemplate(_PLAIN_TEMPLATE, tokens=tokens, clock=tokenizer.clock)
    return plain.render(messages, add_generation_prompt=answer)


def _encode_rendered(tokenizer: Tokenizer, text: str) -> list[int]:
    if tokenizer.chat_template is not None:
        return tokenizer.encode_rendered(text)
    return tokenizer.encode(text, begin=True)


def _with_system(messages: Messages, system: str | None) -> Messages:
    return [{"role": "system", "content": system}, *messages] if system else messages


def _end_of_answer(tokenizer: Tokenizer, whole: str, start: int, content: str, end: int) -> int:
    """Where, in the rendered conversation, the turn that begins at `start` has ended; -1 when it does not."""
    said = content.strip()  # Many templates trim what is said.
    found = whole.find(said, start)
    spelling = tokenizer.token(end) or ""
    stop = -1 if found < 0 else whole.find(spelling, found + len(said))
    return -1 if stop < 0 else stop + len(spelling)


def _ids_after(tokenizer: Tokenizer, so_far: list[int], prompt: str, added: str) -> list[int]:
    # The prompt is served encoded as a whole. Only when that disagrees with the turns already encoded (an answer whose
    # own pieces merge otherwise with its neighbours) is the new part encoded by itself.
    served = _encode_rendered(tokenizer, prompt)
    if served[: len(so_far)] == so_far:
        return served[len(so_far) :]
    return tokenizer.encode(added, begin=False)
