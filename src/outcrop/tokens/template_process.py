"""The process in which templates are rendered: chat templates, which strangers wrote, and a user's own for records.

They may loop, or ask for anything. Jinja's sandbox keeps a template from the machine, not from its time and memory.
Here both have an end that the kernel holds: a template that goes on for too long is killed with this process, and one
that asks for too much memory does not get it. `template_pool.py` starts it and speaks with it: each message is its
length in 8 bytes, then JSON.
"""

import json
import resource
import signal
import struct
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, BinaryIO, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_BYTES = 768 * 2**20
"Address space of the process, the interpreter's own included."
_HEAD = struct.Struct(">Q")


class RefusedByTemplateError(Exception):
    """The template itself called raise_exception."""


class _LongTextError(Exception):
    """The text is longer than any conversation would make it."""


class _GenerationBlock(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant says; here it is only its content."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own declaration)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def environment(*, is_strict: bool = False) -> ImmutableSandboxedEnvironment:
    """Jinja with the names that chat templates expect; a strict one refuses a name that it does not know."""
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[loopcontrols, _GenerationBlock],
        undefined=jinja2.StrictUndefined if is_strict else jinja2.Undefined,
    )
    made.filters["tojson"] = _to_json
    made.globals["raise_exception"] = _refuse
    return made


def send(file: BinaryIO, message: Mapping[str, Any]) -> int:
    """Write one message, and return its bytes."""
    # Half characters pass as they are; whoever encodes the text to ids refuses them.
    content = json.dumps(message, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")
    file.write(_HEAD.pack(len(content)) + content)
    file.flush()
    return len(content)


def receive(file: BinaryIO) -> dict[str, Any] | None:
    """Read one message; None when the other side is gone."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size = _HEAD.unpack(head)[0]
    content = file.read(size)
    if len(content) < size:
        return None
    message: dict[str, Any] = json.loads(content.decode("utf-8", "surrogatepass"))
    return message


def main() -> None:
    # It ends when its parent does, which closes the pipe. The kernel's own signal would come too early: it is sent when
    # the thread ends that started this process, and the server's threads come and go.
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    while (asked := receive(sys.stdin.buffer)) is not None:
        # Nobody handles the signal: it ends the process, whatever C code the template is in.
        signal.setitimer(signal.ITIMER_PROF, asked["seconds"])
        answer = _answer(asked)
        signal.setitimer(signal.ITIMER_PROF, 0)
        send(sys.stdout.buffer, answer)


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"text": _render(asked)}
    except RefusedByTemplateError as refusal:
        return {"refused": str(refusal)}
    except _LongTextError:
        return {"exceeded": f"it writes more than {asked['most_letters']:,} letters"}
    except MemoryError:
        return {"exceeded": "it asks for more memory than a conversation can need"}
    except RecursionError:
        return {"broken": "it calls itself without end"}
    except Exception as problem:  # a template may raise whatever Python can
        return {"broken": f"{type(problem).__name__}: {problem}"[:500]}


def _render(asked: Mapping[str, Any]) -> str:
    pieces: list[str] = []
    room: int = asked["most_letters"]
    values = asked.get("fields")
    template = _compiled(asked["source"], is_strict=values is not None)
    for piece in template.generate(_of_chat(asked) if values is None else values):
        room -= len(piece)
        if room < 0:
            raise _LongTextError
        pieces.append(piece)
    return "".join(pieces)


def _of_chat(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "messages": asked["messages"],
        "add_generation_prompt": asked["add_generation_prompt"],
        "strftime_now": _strftime(datetime.fromisoformat(asked["now"])),
        "tools": asked.get("tools"),
        "documents": None,
        **asked.get("options", {}),
        **asked["tokens"],
    }


@lru_cache(maxsize=4)
def _compiled(source: str, *, is_strict: bool) -> jinja2.Template:
    return environment(is_strict=is_strict).from_string(source)


def _refuse(message: str) -> NoReturn:
    raise RefusedByTemplateError(message)


def _strftime(now: datetime) -> Callable[[str], str]:
    return lambda form: now.strftime(form)


def _to_json(value: Any, indent: int | None = None, **_formatting: Any) -> str:
    # Jinja's own tojson escapes <, > and & for HTML, which a model was never trained on.
    return json.dumps(value, ensure_ascii=False, indent=indent)


if __name__ == "__main__":
    main()
