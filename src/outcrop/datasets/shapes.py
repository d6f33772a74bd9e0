"""The shapes that a record may have, and the flaws of one that has none of them.

FINE_TUNING               {"prompt": "…", "completion": "…"}
                          {"system": "…", "messages": [{"role": "user", "content": "…"}, …]}             as Claude's
                          {"schemaVersion": "bedrock-conversation-2024", "system": [{"text": "…"}],
                           "messages": [{"role": "user", "content": [{"text": "…"}]}, …]}                as Converse
CONTINUED_PRE_TRAINING    {"input": "…"}
"""

from typing import Any

from outcrop.datasets import foreign, tool_turns
from outcrop.datasets.conversion import has_tools
from outcrop.datasets.flaws import Flaw, ForeignForm, ShapeError, kind, nearest, shown
from outcrop.datasets.records import Conversation, Customization, PromptCompletion, Record, TextRecord
from outcrop.tokens.prompt_format import join_blocks

SCHEMA_VERSION = "bedrock-conversation-2024"
_PAIR = '{"prompt": "<input text>", "completion": "<output text>"}'
_CHAT = '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'
_TEXT = '{"input": "<text>"}'
_SYSTEM = "system prompt"
_ROLES = ("user", "assistant", "system")
_OTHER_ROLES = {
    "human": "Write user.",
    "gpt": "Write assistant.",
    "bot": "Write assistant.",
    "model": "Write assistant.",
    "ai": "Write assistant.",
    "developer": "Write its text as the record's system.",
    "function": "Write tool, with the tool_call_id of the call it answers.",
}
_AS_TOOLS = "Write tools and tool_calls, as OpenAI's files have them now."
_ELSEWHERE = {
    **dict.fromkeys(("functions", "function_call"), _AS_TOOLS),
    **dict.fromkeys(("tool_choice", "parallel_tool_calls"), "No template reads it: remove it."),
    "tool_call_id": "It belongs to a turn of the role tool.",
    "weight": "Weights of turns are not read, every answer is learned: remove it.",
    "name": "Names of speakers are not read: remove it, or write it into the text.",
}
"Keys that other services know, and what to do about them."
_KEYS_WITH_TOOLS: dict[str, tuple[str, ...]] = {"assistant": ("tool_calls", "name"), "tool": ("tool_call_id", "name")}
"Keys of turns beside role and content, where a record has tools."


def parse(value: Any, *, line: int, customization: Customization) -> Record:
    """The record a JSON value stands for. Raises ShapeError with everything that is wrong with it."""
    if not isinstance(value, dict):
        raise ShapeError([Flaw("", f"expected an object, found {kind(value)}", f"Write {_example(customization)}.")])
    found = foreign.form_of_record(value, customization)
    if found is not None:
        raise ForeignForm([Flaw("", *found)])
    reader = _RecordReader()
    if customization == "CONTINUED_PRE_TRAINING":
        record: Record = reader.text(value, line)
    elif {"messages", "schemaVersion"} & value.keys() or _meant(value, "messages"):
        record = reader.conversation(value, line)
    else:
        record = reader.pair(value, line)
    if reader.flaws:
        raise ShapeError(reader.flaws)
    return record


class _RecordReader:
    """Reads on after a flaw, so that a record's problems are reported together."""

    def __init__(self) -> None:
        self.flaws: list[Flaw] = []
        self._with_tools = False
        self._misspelt: set[str] = set()
        "Paths that are there under a name so like theirs that they need not be told missing."

    def pair(self, value: dict[str, Any], line: int) -> PromptCompletion:
        if "input" in value:
            self._say("input", "belongs to CONTINUED_PRE_TRAINING", f"Write {_PAIR}, or choose that customizationType.")
            value = {key: rest for key, rest in value.items() if key != "input"}
        self._only(value, ("prompt", "completion"), _PAIR)
        prompt = self._string(value, "prompt", thing="prompt")
        completion = self._string(value, "completion", thing="completion")
        return PromptCompletion(prompt=prompt, completion=completion, line=line)

    def text(self, value: dict[str, Any], line: int) -> TextRecord:
        for key in ("prompt", "completion", "messages"):
            if key in value:
                self._say(key, "belongs to FINE_TUNING", f"Write {_TEXT}, or choose that customizationType.")
        known = ("input", "prompt", "completion", "messages")
        self._only(value, known, _TEXT)
        return TextRecord(text=self._string(value, "input", thing="text"), line=line)

    def conversation(self, value: dict[str, Any], line: int) -> Conversation:
        self._with_tools = has_tools(value)
        known = ("schemaVersion", "system", "messages", *(("tools",) if self._with_tools else ()))
        self._only(value, known, _CHAT)
        tools = tool_turns.tools_of(value["tools"], self.flaws) if "tools" in value else ()
        version = value.get("schemaVersion", SCHEMA_VERSION)
        if version != SCHEMA_VERSION:
            self._say("schemaVersion", f"expected {SCHEMA_VERSION!r}, found {version!r}", f"Write {SCHEMA_VERSION}.")
        system = self._content(value["system"], "system", thing=_SYSTEM) if "system" in value else None
        turns = value.get("messages")
        if not isinstance(turns, list) and "messages" not in self._misspelt:
            what = "missing" if "messages" not in value else f"expected a list, found {kind(turns)}"
            self._say("messages", what, f"Write {_CHAT}.")
        turns = turns if isinstance(turns, list) else []
        messages = [turn for number, given in enumerate(turns) if (turn := self._turn(given, f"messages[{number}]"))]
        if system is None and messages and messages[0]["role"] == "system":
            system = messages.pop(0)["content"]  # Llama's records have the instruction as a first turn
            self._alternate(messages, first=1)
        elif isinstance(value.get("messages"), list):
            self._alternate(messages, first=0)
        return Conversation(system=system, messages=tuple(messages), tools=tools, line=line)

    def _turn(self, given: Any, at: str) -> dict[str, Any] | None:
        if not isinstance(given, dict):
            self._say(at, f"expected an object, found {kind(given)}", 'Write {"role": "user", "content": "…"}.')
            return None
        known = ("role", "content", *(_KEYS_WITH_TOOLS.get(str(given.get("role")), ()) if self._with_tools else ()))
        self._only(given, known, '{"role": "user", "content": "…"}', at=f"{at}.")
        role = self._string(given, "role", thing="role", at=f"{at}.")
        if role and role not in _ROLES and not (self._with_tools and role == "tool"):
            self._say(f"{at}.role", f"expected user or assistant, found {role!r}", _mend_of_role(role))
        if self._with_tools and role in _KEYS_WITH_TOOLS:
            return self._turn_with_tools(given, role, at)
        if given.get("content") is None:
            if not {f"{at}.content"} & self._misspelt:
                self._say(f"{at}.content", "null" if "content" in given else "missing", "Give the turn its text.")
            return {"role": role, "content": ""}
        return {"role": role, "content": self._content(given["content"], f"{at}.content")}

    def _turn_with_tools(self, given: dict[str, Any], role: str, at: str) -> dict[str, Any]:
        """A turn of an assistant who says or calls something, or of a tool that answers, perhaps nothing."""
        more: dict[str, Any] = {key: given[key] for key in ("tool_call_id", "name") if key in given}
        if given.get("tool_calls") is not None:
            more["tool_calls"] = tool_turns.calls_of(given["tool_calls"], f"{at}.tool_calls", self.flaws)
        content = given.get("content")
        if content in (None, "") and (role == "tool" or "tool_calls" in more):
            return {"role": role, "content": "", **more}
        if content is None:
            self._say(f"{at}.content", "null" if "content" in given else "missing", "Give the turn its text.")
        return {"role": role, "content": self._content(content or "", f"{at}.content"), **more}

    def _content(self, given: Any, at: str, *, thing: str = "text") -> str:
        if isinstance(given, str):
            return self._checked(given, at, thing=thing)
        if not isinstance(given, list):
            self._say(at, f"expected a string or a list of text blocks, found {kind(given)}", 'Write [{"text": "…"}].')
            return ""
        if not given:
            self._say(at, "empty", "Give it a text, or remove it.")
            return ""
        return join_blocks([self._block(block, f"{at}[{number}]") for number, block in enumerate(given)])

    def _block(self, block: Any, at: str) -> str:
        if not isinstance(block, dict):
            self._say(at, f"expected an object, found {kind(block)}", 'Write {"text": "…"}.')
            return ""
        for medium in ("image", "video", "document"):
            if medium in block:
                self._say(f"{at}.{medium}", "this base model reads text alone", "Remove the block, or the line.")
                return ""
        self._only({k: v for k, v in block.items() if k != "type"}, ("text",), '{"text": "…"}', at=f"{at}.")
        return self._string(block, "text", thing="text", at=f"{at}.")

    def _alternate(self, messages: list[dict[str, Any]], *, first: int) -> None:
        """Check that turns alternate, from the user to the assistant. Only the first break is told, the others follow
        from it."""
        if self.flaws:
            return
        if self._with_tools:
            broken = tool_turns.check_order(messages, first=first)
            self.flaws += [broken] if broken else []
            return
        for number, turn in enumerate(messages):
            expected = "assistant" if number % 2 else "user"
            if turn["role"] != expected:
                at = f"messages[{number + first}].role"
                self._say(at, f"expected {expected}, found {turn['role']}", "Turns alternate and begin with the user.")
                return
        if len(messages) % 2 or not messages:
            what = "the last turn is the user's" if messages else "no turns"
            self._say("messages", what, "End the conversation with what the assistant should say.")

    def _string(self, value: dict[str, Any], key: str, *, thing: str, at: str = "") -> str:
        if key not in value:
            if f"{at}{key}" not in self._misspelt:
                self._say(f"{at}{key}", "missing", f"Give the record a {thing}, or remove the line.")
            return ""
        if not isinstance(value[key], str):
            found = f"expected a string, found {kind(value[key])}"
            self._say(f"{at}{key}", found, f"Give the record a {thing}, or remove the line.")
            return ""
        return self._checked(value[key], f"{at}{key}", thing=thing)

    def _checked(self, text: str, at: str, *, thing: str) -> str:
        if not text.strip():
            mend = "Leave it out, or give it" if thing == _SYSTEM else "Give the record"
            end = "." if thing == _SYSTEM else ", or remove the line."
            self._say(at, "blank" if text else "empty", f"{mend} a {'text' if thing == _SYSTEM else thing}{end}")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = f"half a character (\\u{ord(text[error.start]):04x}) at position {error.start + 1}"
            self._say(at, half, "Write both halves of the surrogate pair, or the character itself.")
            return ""
        return text

    def _only(self, value: dict[str, Any], known: tuple[str, ...], example: str, at: str = "") -> None:
        for key in value:
            if key in known:
                continue
            near = nearest(key, [name for name in known if name not in value])
            if near is not None:
                self._misspelt.add(f"{at}{near}")
                self._say(f"{at}{shown(key)}", "unknown key", f"Did you mean {near}?")
            else:
                mend = _ELSEWHERE.get(key, f"Remove it; the form is {example}.")
                self._say(f"{at}{shown(key)}", "unknown key", mend)

    def _say(self, field: str, what: str, mend: str) -> None:
        self.flaws.append(Flaw(field, what, mend))


def _meant(value: dict[str, Any], name: str) -> bool:
    return any(isinstance(value[key], list) and nearest(key, [name]) == name for key in value)


def _mend_of_role(role: str) -> str:
    plain = role.strip().lower()
    if plain in _ROLES:
        return f"Write {plain}."
    return _OTHER_ROLES.get(plain, "Name one of the two.")


def _example(customization: Customization) -> str:
    return _TEXT if customization == "CONTINUED_PRE_TRAINING" else _PAIR
