"""Bedrock's rules for one record: what AWS's service and validators refuse, in their words."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from outcrop.datasets.bedrock.limits import BedrockForm, BedrockLimits
from outcrop.datasets.flaws import Flaw, kind

_FORMATS = {"image": ("jpeg", "png", "gif", "webp"), "video": ("mov", "mkv", "mp4", "webm")}
_MOST_IMAGES = 10
_TURNS = ("user", "assistant")


def flaws_of(value: Any, limits: BedrockLimits) -> list[Flaw]:
    """Everything for which Bedrock refuses a record."""
    if not isinstance(value, dict):
        return [Flaw("", f"Data files must conform to JSONL format, found {kind(value)}", f"Write {limits.form}.")]
    match limits.form:
        case BedrockForm.PAIR:
            flaws = list(_strings(value, ("prompt", "completion"), limits.form))
        case BedrockForm.TEXT:
            flaws = list(_strings(value, ("input",), limits.form))
        case BedrockForm.CLAUDE:
            flaws = list(_claude(value, limits))
        case BedrockForm.CONVERSE:
            flaws = list(_converse(value, limits))
        case BedrockForm.REINFORCEMENT:
            flaws = list(_reinforcement(value))
    return flaws or list(_too_long(value, limits))


def form_of(value: Any) -> BedrockForm:
    """The form that a record seems to be meant in."""
    if not isinstance(value, dict) or "messages" not in value:
        return BedrockForm.TEXT if isinstance(value, dict) and "input" in value else BedrockForm.PAIR
    if "reference_answer" in value:
        return BedrockForm.REINFORCEMENT
    blocks = any(isinstance(_in(turn, "content"), list) for turn in _list(value["messages"]))
    return BedrockForm.CONVERSE if blocks or "schemaVersion" in value else BedrockForm.CLAUDE


def texts_of(value: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The texts that a model reads, and those that it learns to write."""
    if "messages" not in value:
        return _strings_of(value.get("prompt"), value.get("input")), _strings_of(value.get("completion"))
    turns = [turn for turn in _list(value["messages"]) if isinstance(turn, dict)]
    said = [(turn.get("role"), text) for turn in turns for text in _texts(turn.get("content"))]
    asked = _texts(value.get("system")) + [text for role, text in said if role != "assistant"]
    return asked, [text for role, text in said if role == "assistant"]


def _strings(value: dict[str, Any], keys: Sequence[str], form: BedrockForm) -> Iterator[Flaw]:
    wrong = [key for key in keys if not isinstance(value.get(key), str)] + [key for key in value if key not in keys]
    for key in wrong:
        yield Flaw("", f"Input data at {key} must follow '{form}' format", f"Write {form} and nothing else.")
    for key in keys:
        if key not in wrong and not value[key].strip():
            yield Flaw("", f"Input data at {key} must follow '{form}' format, found no text", "Give it a text.")


def _claude(value: dict[str, Any], limits: BedrockLimits) -> Iterator[Flaw]:
    turns = _list(value.get("messages"))
    if not isinstance(value.get("system", ""), str):
        yield Flaw(
            "system", f"expected a string, found {kind(value['system'])}", "Write the system prompt as a string."
        )
    for number, turn in enumerate(turns):
        if not isinstance(_in(turn, "content"), str):
            found = kind(_in(turn, "content"))
            yield Flaw(
                f"messages[{number}].content", f"expected a string, found {found}", "Write the text as a string."
            )
        if _in(turn, "role") not in _TURNS:
            said = f"The role {_in(turn, 'role')!r} is not supported"
            yield Flaw(f"messages[{number}].role", said, "Write user or assistant, and instructions as system.")
    roles = [_in(turn, "role") for turn in turns]
    if len(roles) < 2 or roles[0] != "user" or roles[-1] != "assistant":
        yield Flaw("messages", "Messages must start with user and end with assistant", f"Write {limits.form}.")
    elif any(one == following for one, following in pairwise(roles)):
        yield Flaw("messages", "Messages must alternate between user and assistant", "Join turns of one speaker.")
    for text in [text for side in texts_of(value) for text in side]:
        for word in limits.reserved:
            if word in text:
                yield Flaw("", f"Reserved keyword {word!r} found in the text", "Write the line otherwise.")


def _converse(value: dict[str, Any], limits: BedrockLimits) -> Iterator[Flaw]:
    turns = _list(value.get("messages"))
    # AWS's validator takes any version, and none: its own samples for Nova have none.
    if not isinstance(value.get("schemaVersion", ""), str):
        yield Flaw("schemaVersion", f"expected a string, found {kind(value['schemaVersion'])}", f"Write {limits.form}.")
    system = value.get("system")
    if system is not None and not all(isinstance(_in(block, "text"), str) for block in _list(system) or [None]):
        yield Flaw("system", "expected a list of text blocks", 'Write [{"text": "…"}].')
    for number, turn in enumerate(turns):
        yield from _blocks(turn, f"messages[{number}]", limits)
    yield from _order([_in(turn, "role") for turn in turns])
    found = {word: None for side in texts_of(value) for text in side for word in limits.reserved if word in text}
    if found:
        words = ", ".join(f"`{word}`" for word in found)
        yield Flaw("", f"Invalid text content, following tokens are invalid: {words}", "Write them otherwise.")


def _blocks(turn: Any, at: str, limits: BedrockLimits) -> Iterator[Flaw]:
    content = _in(turn, "content")
    if not isinstance(content, list):
        yield Flaw(f"{at}.content", f"expected a list of blocks, found {kind(content)}", 'Write [{"text": "…"}].')
        return
    media = [name for block in content for name in _FORMATS if _in(block, name) is not None]
    for number, block in enumerate(content):
        if not isinstance(_in(block, "text"), str) and not any(_in(block, name) is not None for name in _FORMATS):
            what = "Invalid content, at least one of text, image, video must be provided"
            yield Flaw(f"{at}.content[{number}]", what, 'Write {"text": "…"}.')
        for name in _FORMATS:
            yield from _medium(_in(block, name), name, f"{at}.content[{number}].{name}")
    if not media and not any(text for text in _texts(content)):
        yield Flaw(f"{at}.content", "Invalid content, empty text content", "Give the turn a text.")
    refused = [name for name in media if name not in limits.media]
    if refused:
        yield Flaw(
            f"{at}.content", f"Invalid content, {refused[0]} samples not supported by this model", "Take it out."
        )
    if media and _in(turn, "role") == "assistant":
        what = "Invalid content, image/video cannot be included when role is 'assistant'"
        yield Flaw(f"{at}.content", what, "Take it out.")
    if media.count("image") > _MOST_IMAGES or media.count("video") > 1 or len(set(media)) > 1:
        what = f"Invalid content, more than {_MOST_IMAGES} images, more than one video, or both kinds"
        yield Flaw(f"{at}.content", what, "Part the record.")


def _medium(given: Any, name: str, at: str) -> Iterator[Flaw]:
    if given is None:
        return
    if str(_in(given, "format")).lower() not in _FORMATS[name]:
        what = f"Invalid {name} format, supported formats are {', '.join(_FORMATS[name])}"
        yield Flaw(at, what, "Turn it into one of these.")
    uri = _in(_in(_in(given, "source"), "s3Location"), "uri")
    if not isinstance(uri, str) or not uri.startswith("s3://"):
        yield Flaw(at, "Invalid S3 URI, must start with 's3://'", 'Write {"s3Location": {"uri": "s3://…"}}.')


def _order(roles: Sequence[Any]) -> Iterator[Flaw]:
    if len(roles) < 2:
        yield Flaw("messages", "Invalid messages, both user and assistant are needed in sample", "Give it an answer.")
        return
    for number, role in enumerate(roles):
        expected = _TURNS[number % 2]
        if role != expected:
            what = f"Invalid messages, expected {expected} role but found {role}"
            yield Flaw(f"messages[{number}].role", what, "Turns alternate and begin with the user.")
            return
    if roles[-1] != "assistant":
        yield Flaw("messages", "Invalid messages, last turn should have assistant role", "Give it an answer.")


def _reinforcement(value: dict[str, Any]) -> Iterator[Flaw]:
    turns = _list(value.get("messages"))
    if not turns or not all(isinstance(_in(turn, "content"), str | list) for turn in turns):
        yield Flaw("messages", "expected turns of role and content", f"Write {BedrockForm.REINFORCEMENT}.")
    if "reference_answer" not in value:
        yield Flaw("reference_answer", "missing", f"Write {BedrockForm.REINFORCEMENT}.")


def _too_long(value: dict[str, Any], limits: BedrockLimits) -> Iterator[Flaw]:
    asked, answered = (sum(map(len, side)) // limits.letters_per_token for side in texts_of(value))
    measured = (
        ("Maximum input token count {} exceeds limit of {}", asked, limits.most_input),
        ("Maximum output token count {} exceeds limit of {}", answered, limits.most_output),
        ("Max sum of input and output token length {} exceeds total limit of {}", asked + answered, limits.most_sum),
    )
    for said, num_tokens, most in measured:
        if most is not None and num_tokens > most:
            what = f"{said.format(num_tokens, most)}, estimated at {limits.letters_per_token} characters a token"
            yield Flaw("", what, "Shorten the record.")
            return


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return _strings_of(*(_in(block, "text") for block in _list(content)))


def _strings_of(*parts: Any) -> list[str]:
    return [part for part in parts if isinstance(part, str)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _in(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None
