"""Errors in OpenAI's words: what no other service of the house says, or says otherwise.

Every one is a `ServiceRefusal` whose members hold the `param` that it is about, and the `type` where it is not the
usual one of its status.
"""

import re
from collections.abc import Sequence

from outcrop.errors import InputTooLong, Invalid, NotFound, ServiceRefusal

DOCUMENTED = "docs/openai.md lists what is served."
_PROBLEM = re.compile(r"#(?P<at>(?:/[^:]*)?): (?P<what>.*)", re.DOTALL)
_PLACE = re.compile(
    r"(?:The schema cannot be used\. |The engine refused the request: )?"
    r"((?:response_format|structured_outputs|tools|text|logit_bias)\b[\w.\[\]]*): "
)
"Begins a refusal that names a member of the body: of a schema in it, or from the engine."
_MISSING = re.compile(r"required key \[(.*)\] not found", re.DOTALL)
_EXTRA = re.compile(r"extraneous key \[(.*)\] is not permitted", re.DOTALL)


def invalid(param: str, what: str, *, code: str = "invalid_value") -> ServiceRefusal:
    """A value that is wrong; `what` says how, and how to mend it."""
    return ServiceRefusal(code, f"{param}: {what}", http_status=400, param=param)


def refused(code: str, text: str, *, param: str | None = None) -> ServiceRefusal:
    """A request that cannot be answered as it is, by a code of OpenAI's."""
    return ServiceRefusal(code, text, http_status=400, param=param)


def missing(param: str) -> ServiceRefusal:
    text = f"Missing required parameter: '{param}'."
    return ServiceRefusal("missing_required_parameter", text, http_status=400, param=param)


def unknown(param: str) -> ServiceRefusal:
    return ServiceRefusal("unknown_parameter", f"Unknown parameter: '{param}'.", http_status=400, param=param)


def unserved(param: str, why: str) -> ServiceRefusal:
    """A parameter of OpenAI's that would be overlooked here; `why` ends the sentence, and says what to do."""
    return ServiceRefusal(
        "unsupported_parameter", f"Unsupported parameter: '{param}': {why}", http_status=400, param=param
    )


def not_json(problem: object) -> ServiceRefusal:
    text = f"We could not parse the JSON body of your request: {problem}. Send one JSON object."
    return ServiceRefusal("invalid_json", text, http_status=400)


def no_model(name: str) -> ServiceRefusal:
    text = (
        f"The model `{name}` does not exist or you do not have access to it. GET /v1/models lists those that are here."
    )
    return ServiceRefusal("model_not_found", text, http_status=404, param="model")


def no_such(what: str, identifier: str, *, param: str) -> ServiceRefusal:
    return ServiceRefusal("not_found", f"No such {what}: {identifier}", http_status=404, param=param)


def no_url(method: str, path: str) -> ServiceRefusal:
    text = f"Unknown request URL: {method} {path}. Please check the URL for typos; {DOCUMENTED}"
    return ServiceRefusal("unknown_url", text, http_status=404)


def unbuilt(method: str, path: str, what: str) -> ServiceRefusal:
    """A part of OpenAI's API that is not here; `what` is its name, in the plural."""
    text = f"Unknown request URL: {method} {path}. OpenAI's {what} are not built in Outcrop. {DOCUMENTED}"
    return ServiceRefusal("unknown_url", text, http_status=404)


def no_method(method: str, path: str, others: Sequence[str]) -> ServiceRefusal:
    text = f"Not allowed to {method} on {path}. Send {' or '.join(others)}."
    return ServiceRefusal("method_not_supported", text, http_status=405)


def no_key() -> ServiceRefusal:
    text = (
        "You didn't provide an API key. Send one in an Authorization header, as Bearer YOUR_KEY: an API key of "
        "Bedrock, or ACCESS_KEY_ID:SECRET_ACCESS_KEY."
    )
    return ServiceRefusal("missing_api_key", text, http_status=401)


def wrong_key() -> ServiceRefusal:
    """The refusal of a key, which does not repeat it: answers are logged where keys are not."""
    text = (
        "Incorrect API key provided. Send an API key of Bedrock that is active and has not expired, or "
        "ACCESS_KEY_ID:SECRET_ACCESS_KEY, with :SESSION_TOKEN behind it for temporary credentials."
    )
    return ServiceRefusal("invalid_api_key", text, http_status=401)


def of(error: Exception, *, param: str = "messages") -> Exception:
    """The error as OpenAI's clients expect it; one that needs no other words stays as it is.

    `param` is the parameter that holds the prompt.
    """
    problems = getattr(error, "problems", None)
    if isinstance(error, Invalid) and problems:
        return of_problem(problems[0])
    if isinstance(error, Invalid) and error.message.startswith("thinking: "):
        return unserved("reasoning_effort", "this model does not think, or cannot be told to. Leave it out.")
    place = _PLACE.match(error.message) if isinstance(error, Invalid) else None
    if place is not None:
        return ServiceRefusal("invalid_value", str(error), http_status=400, param=place[1])
    if isinstance(error, InputTooLong):
        # By these words, too, programs tell it from other refusals (litellm does).
        told = f"This model's maximum context length is exceeded. {error.message}"
        return ServiceRefusal("context_length_exceeded", told, http_status=400, param=param)
    return error


def of_problem(problem: str) -> ServiceRefusal:
    """A violation of a body's schema, as the schemas of Bedrock's bodies tell it."""
    found = _PROBLEM.fullmatch(problem)
    assert found is not None, f"no violation of a schema: {problem}"
    place, what = _as_path(found["at"]), found["what"]
    lacking, extra = _MISSING.fullmatch(what), _EXTRA.fullmatch(what)
    if lacking is not None:
        return missing(f"{place}.{lacking[1]}".removeprefix("."))
    if extra is not None:
        return unknown(f"{place}.{extra[1]}".removeprefix("."))
    if what.startswith("expected type"):
        text = f"Invalid type for '{place}': {what}."
        return ServiceRefusal("invalid_type", text, http_status=400, param=place)
    return ServiceRefusal("invalid_value", f"Invalid value for '{place}': {what}.", http_status=400, param=place)


def _as_path(pointer: str) -> str:
    """`messages[0].role` for `/messages/0/role`."""
    steps = pointer.removeprefix("/").split("/")
    return "".join(f"[{step}]" if step.isdecimal() else f".{step}" for step in steps).removeprefix(".")


def is_absent(error: Exception) -> bool:
    """Whether it says that there is no such thing."""
    return isinstance(error, NotFound) or (isinstance(error, ServiceRefusal) and error.http_status == 404)
