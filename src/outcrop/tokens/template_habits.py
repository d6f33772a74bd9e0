"""The effects of a chat template on the parts of a conversation, found by rendering one with marked parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from outcrop.errors import Invalid
from outcrop.tokens.chat_template import Messages, TemplateBroken, TemplateRefused, Tools
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.tokens.tool_syntax import ToolSyntax, find_syntax

_SYSTEM, _FIRST, _THOUGHT, _ANSWER, _SECOND = "qsystemq", "qfirstq", "qthoughtq", "qanswerq", "qsecondq"

Render = Callable[[Messages, bool, Tools], str]
"""Text of a conversation; whether the assistant is to speak next, and with which tools."""


@dataclass(frozen=True, kw_only=True)
class TemplateHabits:
    """How one template treats conversations."""

    end_id: int
    "The special token it writes after an assistant's words."
    system: Literal["kept", "left out", "refused"]
    "What becomes of a system message."
    keeps_earlier_turns: bool
    keeps_earlier_thoughts: bool
    "Whether <think>…</think> of an earlier answer is still there when the next one is given."
    special_spellings: frozenset[str]
    "Of the special tokens it writes, but for the one that begins every document."
    writes_tools: bool
    "Whether tools, the assistant's calls of them and their results are all in the text."
    tool_syntax: ToolSyntax | None
    "How it writes the calls; None where it writes none, or so that none could be read."
    before_answer: str
    "What it writes last before the assistant speaks, without the line breaks around it."


_known: WeakKeyDictionary[Tokenizer, TemplateHabits] = WeakKeyDictionary()


def habits_of(tokenizer: Tokenizer, render: Render) -> TemplateHabits:
    """The habits of the tokenizer's template, which `render` renders. Raises Invalid where an answer has no end."""
    if tokenizer not in _known:
        _known[tokenizer] = _examine(tokenizer, render)
    return _known[tokenizer]


def _examine(tokenizer: Tokenizer, render: Render) -> TemplateHabits:
    asked = [_turn("user", _FIRST)]
    said = render([*asked, _turn("assistant", _ANSWER)], False, ())
    prompt = render(asked, True, ())
    thought = f"<think>\n{_THOUGHT}\n</think>\n\n{_ANSWER}"
    again = _rendered(render, [*asked, _turn("assistant", thought), _turn("user", _SECOND)])
    special = {one for one in tokenizer.encode_rendered(said + prompt) if one in tokenizer.special_ids}
    return TemplateHabits(
        end_id=_end_of_turn(tokenizer, said),
        system=_system(render, asked),
        keeps_earlier_turns=again is None or (_FIRST in again and _ANSWER in again),
        keeps_earlier_thoughts=again is None or _THOUGHT in again,
        special_spellings=frozenset(tokenizer.token(one) or "" for one in special - {tokenizer.bos_id}),
        writes_tools=tokenizer.chat_template is not None and _writes_tools(render, asked),
        tool_syntax=_tool_syntax(tokenizer, render, asked),
        before_answer=prompt[prompt.rfind(_FIRST) + len(_FIRST) :].strip() if _FIRST in prompt else "",
    )


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _system(render: Render, asked: Messages) -> Literal["kept", "left out", "refused"]:
    told = _rendered(render, [_turn("system", _SYSTEM), *asked])
    if told is None:
        return "refused"
    return "kept" if _SYSTEM in told else "left out"


def _writes_tools(render: Render, asked: Messages) -> bool:
    parameters = {"type": "object", "properties": {"qargumentq": {"type": "string"}}, "required": ["qargumentq"]}
    tool = {"name": "qtoolq", "description": "qwhatq", "parameters": parameters}
    # Some templates take ids of nine letters only.
    call = {
        "id": "qcallidqq",
        "type": "function",
        "function": {"name": "qtoolq", "arguments": {"qargumentq": "qvalueq"}},
    }
    turns = [
        *asked,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "qresultq", "tool_call_id": "qcallidqq", "name": "qtoolq"},
    ]
    text = _rendered(render, turns, [{"type": "function", "function": tool}]) or ""
    return all(mark in text for mark in ("qwhatq", "qvalueq", "qresultq")) and text.count("qtoolq") > 1


def _tool_syntax(tokenizer: Tokenizer, render: Render, asked: Messages) -> ToolSyntax | None:
    if tokenizer.chat_template is None or not tokenizer.chat_template.mentions("tool"):
        return None

    def write(turns: Messages, answer: bool, tools: Tools) -> str | None:
        try:
            return render(turns, answer, tools)
        except (TemplateRefused, TemplateBroken):
            return None

    return find_syntax(write, asked)


def _rendered(render: Render, turns: Messages, tools: Tools = ()) -> str | None:
    """None for a conversation that the template does not take."""
    try:
        return render(turns, True, tools)
    except (TemplateRefused, TemplateBroken):
        return None


def _end_of_turn(tokenizer: Tokenizer, said: str) -> int:
    if _ANSWER not in said:
        raise Invalid(
            f"{tokenizer.name}: its chat template leaves out what the assistant says, so no answer can be learned. "
            "Mend chat_template."
        )
    after = tokenizer.encode(said[said.rindex(_ANSWER) + len(_ANSWER) :], begin=False)
    for token_id in after:
        if token_id in tokenizer.special_ids:
            return token_id
    raise Invalid(
        f"{tokenizer.name}: its chat template writes no special token after the assistant's words, so an answer would "
        "never end. Write eos_token there."
    )
