"""A toolkit's promises to the code of a model: the functions it may bring, and their defaults.

`ModelContract` is what the toolkits have in common; `huggingface.py`, `pytorch.py` and `scikit_learn.py` are the three,
with their defaults and the form of their errors.

https://github.com/aws/sagemaker-inference-toolkit
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from .arrays import ANY, JSON, TEXTS
from .context import InvocationContext
from .error_bodies import error_body
from .settings import ServerSettings, log

_PARTS = ("input_fn", "predict_fn", "output_fn")


@dataclass(frozen=True)
class ServedAnswer:
    """The answer to an invocation, whole or as the pieces of a stream."""

    status: int
    content_type: str
    body: bytes = b""
    pieces: Iterator[bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)


class ModelContract:
    """A model and the functions that serve it; a toolkit is a subclass with its defaults.

    A function of the user's takes the arguments of its default, and the context behind them if it has one more.
    """

    brought: tuple[str, ...] = ("model_fn", "transform_fn", *_PARTS)
    "The functions that the code may bring."

    def __init__(self, settings: ServerSettings, context: InvocationContext) -> None:
        self.settings = settings
        self.context = context
        self.model: Any = None
        self._own: dict[str, Callable[..., Any]] = {}

    def load(self) -> None:
        """Import the user's code and load the model. Raises whatever that code raises."""
        self._own = self.functions_of(self.user_module())
        if "transform_fn" in self._own and any(part in self._own for part in _PARTS):
            raise ValueError(
                "Cannot use transform_fn implementation in conjunction with input_fn, predict_fn, and/or output_fn "
                "implementation"
            )
        folder = self.model_dir()
        self.call("pre_model_fn", _nothing, folder)
        self.model = self.call("model_fn", self.default_model_fn, folder)
        self.call("model_warmup_fn", _nothing, folder, self.model)

    def model_dir(self) -> str:
        return str(self.settings.model_dir)

    def user_module(self) -> ModuleType | None:
        """The module that SAGEMAKER_PROGRAM names, or None where there is none and the defaults serve."""
        sys.path.insert(0, str(self.settings.code_dir))
        name = self.settings.module
        if importlib.util.find_spec(name) is None:
            log(f"There is no {self.settings.program} in {self.settings.code_dir}: the defaults of the toolkit serve.")
            return None
        return importlib.import_module(name)

    def functions_of(self, module: ModuleType | None) -> dict[str, Callable[..., Any]]:
        found = {name: getattr(module, name, None) for name in self.brought}
        return {name: function for name, function in found.items() if function}

    def call(self, name: str, default: Callable[..., Any], *arguments: Any) -> Any:
        """The result of the user's function, or of the default."""
        function = self._own.get(name)
        if function is None:
            return default(*arguments)
        num_taken = len(inspect.signature(function).parameters)
        if num_taken == len(arguments):
            return function(*arguments)
        if num_taken == len(arguments) + 1:
            return function(*arguments, self.context)
        raise TypeError(f"{name} takes {num_taken} arguments but {len(arguments)} were given.")

    def content_type(self) -> str | None:
        assert self.context.request_processor is not None
        headers = self.context.request_processor[0].get_request_properties()
        value: str | None = headers.get("content-type") or headers.get("contenttype")
        return value

    def accept(self) -> str:
        assert self.context.request_processor is not None
        accept = self.context.request_processor[0].get_request_property("accept")
        return self.default_accept() if not accept or accept == ANY else accept

    def default_accept(self) -> str:
        return self.settings.default_accept

    def invoke(self, body: bytes) -> ServedAnswer:
        """The answer to a request; an error of the user's code is one, too."""
        try:
            content_type, accept = self.content_type(), self.accept()
            data: Any = body.decode("utf-8") if content_type in TEXTS else body
            if "transform_fn" in self._own:
                result = self.call("transform_fn", _never, self.model, data, content_type, accept)
            else:
                data = self.call("input_fn", self.default_input_fn, data, content_type)
                prediction = self.call("predict_fn", self.default_predict_fn, data, self.model)
                result = self.call("output_fn", self.default_output_fn, prediction, accept)
            return self.answer(result, accept)
        except Exception as error:
            traceback.print_exc()
            return self.refusal(error)

    def answer(self, result: Any, accept: str) -> ServedAnswer:
        """The answer that a result of output_fn or transform_fn makes."""
        result, content_type = self.unwrapped(result, accept)
        assert self.context.request_processor is not None
        request = self.context.request_processor[0]
        content_type = str(content_type)
        request.add_response_property("content-type", content_type)
        status, headers = int(request.get_response_status_code()), request.get_response_headers()
        if isinstance(result, Iterator):
            return ServedAnswer(status, content_type, pieces=_from_the_first(result), headers=headers)
        try:
            body = as_bytes(result)
        except TypeError:
            traceback.print_exc()
            said = error_body(503, "InternalServerException", "Unsupported model output data type.")
            return ServedAnswer(503, JSON, said)
        return ServedAnswer(status, content_type, body, headers=headers)

    def unwrapped(self, result: Any, accept: str) -> tuple[Any, str]:
        """The result and its content type."""
        raise NotImplementedError

    def refusal(self, error: Exception) -> ServedAnswer:
        raise NotImplementedError

    def default_model_fn(self, model_dir: str) -> Any:
        raise NotImplementedError

    def default_input_fn(self, data: Any, content_type: str | None) -> Any:
        raise NotImplementedError

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        raise NotImplementedError

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        raise NotImplementedError


def as_bytes(result: Any) -> bytes:
    """The bytes of a result; what is neither bytes nor text is written as JSON."""
    if isinstance(result, (bytes, bytearray, memoryview)):
        return bytes(result)
    if isinstance(result, str):
        return result.encode("utf-8")
    return json.dumps(result, indent=2).encode("utf-8")


def _from_the_first(results: Iterator[Any]) -> Iterator[bytes]:
    """The pieces of a stream, with the first one made already: what fails before it still gets an error's status."""
    missing = object()
    first = next(results, missing)
    return iter(()) if first is missing else _pieces(_piece(first), results)


def _pieces(first: bytes, rest: Iterator[Any]) -> Iterator[bytes]:
    try:
        yield first
        for piece in rest:
            yield _piece(piece)
    finally:
        if isinstance(rest, Generator):
            rest.close()


def _piece(value: Any) -> bytes:
    if isinstance(value, (str, bytes, bytearray, memoryview)):
        return as_bytes(value)
    raise TypeError(f"A stream is made of bytes or str, and this one gave {type(value).__name__}. Encode its pieces.")


def _nothing(*_: Any) -> None:
    return None


def _never(*_: Any) -> Any:
    raise AssertionError("transform_fn has no default")
