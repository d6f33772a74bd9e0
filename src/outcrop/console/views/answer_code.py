"""The request of the playground as code: a program of boto3, and a command of the AWS CLI."""

import json
import shlex
from typing import Any

from outcrop.console.views.conversation_view import AskedAnswers

_WIDTH, _INDENT = 72, "    "


class _Variable:
    """A name that stands in code where a value would."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


def boto3_code(asked: AskedAnswers, region: str) -> str:
    """A program that asks the model, or each of several the same question, and prints the answer."""
    if len(asked.models) == 1:
        return _program(asked, _request(asked, region), loop="")
    fresh = asked._replace(turns=[turns[-1:] for turns in asked.turns])
    models = [_model_of(asked, _request(fresh, region, number)) for number in range(len(asked.models))]
    request = _request(fresh, region)
    _set_model(asked, request, _Variable("model"))
    return _program(asked, request, loop=f"for model in {_python(models)}:\n")


def cli_code(asked: AskedAnswers, region: str) -> str:
    """A command that asks the first model."""
    service, operation = (
        ("bedrock-agent-runtime", "retrieve-and-generate") if asked.knowledge_base else ("bedrock-runtime", "converse")
    )
    options = [f"--{_dashed(name)} {_shell(value)}" for name, value in _request(asked, region).items()]
    return " \\\n    ".join([f"aws {service} {operation}", *options])


def _program(asked: AskedAnswers, request: dict[str, Any], *, loop: str) -> str:
    service, operation, text = (
        ("bedrock-agent-runtime", "retrieve_and_generate", '["output"]["text"]')
        if asked.knowledge_base
        else ("bedrock-runtime", "converse", '["output"]["message"]["content"][0]["text"]')
    )
    arguments = [f"    {name}={_python(value)},".replace("\n", "\n    ") for name, value in request.items()]
    lines = "\n".join([f"answer = client.{operation}(", *arguments, ")", f"print(answer{text})"]).split("\n")
    indent = "    " if loop else ""
    begin = f'import boto3\n\nclient = boto3.client("{service}")\n{loop}'
    return begin + "\n".join(f"{indent}{line}" for line in lines)


def _request(asked: AskedAnswers, region: str, number: int = 0) -> dict[str, Any]:
    if not asked.knowledge_base:
        return asked.request(number)
    request = asked.grounded_request(number, region)
    request.pop("sessionId", None)  # a program begins a talk of its own
    return request


def _model_of(asked: AskedAnswers, request: dict[str, Any]) -> str:
    return str(_place_of_model(asked, request)[0][_place_of_model(asked, request)[1]])


def _set_model(asked: AskedAnswers, request: dict[str, Any], value: object) -> None:
    place, name = _place_of_model(asked, request)
    place[name] = value


def _place_of_model(asked: AskedAnswers, request: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if not asked.knowledge_base:
        return request, "modelId"
    return request["retrieveAndGenerateConfiguration"]["knowledgeBaseConfiguration"], "modelArn"


def _python(value: Any, room: int = _WIDTH) -> str:
    """A value as Python spells it, on one line where it fits, else a line for each member."""
    flat = _spelled(value)
    if len(flat) <= room or not isinstance(value, dict | list):
        return flat
    inner = room - len(_INDENT)
    if isinstance(value, dict):
        members = [f"{_spelled(name)}: {_python(each, inner)}" for name, each in value.items()]
    else:
        members = [_python(each, inner) for each in value]
    begin, end = ("{", "}") if isinstance(value, dict) else ("[", "]")
    lines = "\n".join(f"{member}," for member in members).replace("\n", f"\n{_INDENT}")
    return f"{begin}\n{_INDENT}{lines}\n{end}"


def _spelled(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_spelled(name)}: {_spelled(each)}' for name, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_spelled, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _shell(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _dashed(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
