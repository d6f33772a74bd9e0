"""Forms of answers, read from the fields in which providers ask for them, and checked with their places."""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import json_schema
from outcrop.invocation.exchange import AnswerForm, Grammar, JsonObject, JsonSchema

_CHOICES = ("json", "json_object", "regex", "choice", "grammar")


def form_of_output_config(config: Mapping[str, Any]) -> AnswerForm | None:
    """The form that Converse's `outputConfig` asks for."""
    asked = config.get("textFormat")
    if not asked:
        return None
    definition = asked.get("structure", {}).get("jsonSchema")
    if definition is None:
        raise Invalid("outputConfig.textFormat.structure: jsonSchema is missing. Give it the schema of the answer.")
    at = "outputConfig.textFormat.structure.jsonSchema.schema"
    schema = json_schema.parse(definition["schema"], at=at)
    return _of_schema(schema, at=at, name=definition.get("name", ""))


def form_of_claude_format(asked: Any, *, at: str) -> AnswerForm | None:
    """The form that Claude's `output_config.format` asks for, or `output_format` before it."""
    if asked is None:
        return None
    if not isinstance(asked, dict):
        raise Invalid(f"{at}: Input should be a valid dictionary")
    if asked.get("type") != "json_schema":
        raise Invalid(f"{at}.type: Input should be 'json_schema'")
    if "schema" not in asked:
        raise Invalid(f"{at}.schema: Field required")
    return _of_schema(asked["schema"], at=f"{at}.schema")


def form_of_response_format(asked: Any, *, at: str = "response_format") -> AnswerForm | None:
    """The form that OpenAI's `response_format` asks for; None for plain text."""
    if asked is None:
        return None
    kind = asked.get("type") if isinstance(asked, dict) else None
    match kind:
        case "text":
            return None
        case "json_object":
            return JsonObject()
        case "json_schema":
            # In chat completions the schema stands in a member of its own, in responses beside the type.
            named = asked.get("json_schema", asked)
            if not isinstance(named, dict) or "schema" not in named:
                raise Invalid(f"{at}.json_schema.schema: is missing. Give it the schema of the answer.")
            return _of_schema(named["schema"], at=f"{at}.json_schema.schema", name=str(named.get("name", "")))
    raise Invalid(f"{at}.type: {kind!r} is none. Choose text, json_object or json_schema.")


def form_of_structured_outputs(asked: Any, *, at: str = "structured_outputs") -> AnswerForm | None:
    """The form that vLLM's `structured_outputs` asks for: json, json_object, regex, choice or grammar."""
    if asked is None:
        return None
    if not isinstance(asked, dict) or len(asked) != 1 or next(iter(asked)) not in _CHOICES:
        raise Invalid(f"{at}: expected an object with one of {', '.join(_CHOICES)}.")
    ((kind, value),) = asked.items()
    at = f"{at}.{kind}"
    match kind:
        case "json":
            schema = json_schema.parse(value, at=at) if isinstance(value, str) else value
            return _of_schema(schema, at=at)
        case "json_object":
            if value is not True:
                raise Invalid(f"{at}: expected true. Leave it out for plain text.")
            return JsonObject()
        case "choice":
            if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
                raise Invalid(f"{at}: expected a list of texts. Give the possible answers.")
            return Grammar(text="start: " + " | ".join(map(quoted, value)), kind="lark")
    if not isinstance(value, str) or not value.strip():
        raise Invalid(f"{at}: expected a text. Give the {kind} of the answer.")
    return Grammar(text=value, kind="lark" if kind == "grammar" else "regex")


def quoted(text: str) -> str:
    """A text as a string of a Lark grammar."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return f'"{"".join(escapes.get(letter, letter) for letter in text)}"'


def _of_schema(schema: Any, *, at: str, name: str = "") -> JsonSchema:
    json_schema.check(schema, at=at)
    return JsonSchema(schema=schema, name=name)
