"""The scikit-learn container's promises: model_fn is the user's, and a prediction is `model.predict` of an array.

https://github.com/aws/sagemaker-scikit-learn-container (over sagemaker-containers 2.8.6)
"""

from __future__ import annotations

import json
import traceback
from types import ModuleType
from typing import Any

from .arrays import CSV, JSON, NPY, TEXTS, UnsupportedFormatError, needed, read_csv_cells, read_npy, write_csv_cells
from .arrays import encode as encode_array
from .contract import ModelContract, ServedAnswer

_HTML = "text/html; charset=utf-8"


class ScikitLearnContract(ModelContract):
    """The code is required; an error is 500, its body JSON with the traceback."""

    def user_module(self) -> ModuleType:
        module = super().user_module()
        if module is None:
            raise FileNotFoundError(
                f"{self.settings.code_dir / self.settings.program} is not there. Name the file with model_fn in "
                "SAGEMAKER_PROGRAM, and put it into code/ of the model's archive."
            )
        return module

    def content_type(self) -> str:
        return super().content_type() or JSON

    def default_model_fn(self, model_dir: str) -> Any:
        raise NotImplementedError(f"Please provide a model_fn implementation that loads the model from {model_dir}.")

    def default_input_fn(self, data: Any, content_type: str | None) -> Any:
        array = decode_cells(data, content_type)
        return array.astype("float32") if content_type in TEXTS else array

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        return model.predict(data)

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        return encode_cells(prediction, accept), accept

    def unwrapped(self, result: Any, accept: str) -> tuple[Any, str]:
        if isinstance(result, FrameworkResponse):
            assert self.context.request_processor is not None
            request = self.context.request_processor[0]
            request.report_status(result.status)
            request.get_response_headers().update(result.headers)
            return result.response, result.mimetype
        if isinstance(result, tuple):
            return result[0], result[1]
        return result, _HTML if isinstance(result, (str, bytes)) else accept

    def refusal(self, error: Exception) -> ServedAnswer:
        said = {
            "error": type(error).__name__,
            "error-message": str(error),
            "stack-trace": traceback.format_exc(),
        }
        return ServedAnswer(500, JSON, json.dumps(said).encode())


class FrameworkResponse:
    """`worker.Response` of sagemaker-containers, as older code for scikit-learn makes it."""

    def __init__(
        self,
        response: Any = None,
        accept: Any = None,
        status: int = 200,
        headers: Any = None,
        mimetype: str | None = None,
    ) -> None:
        self.response = b"" if response is None else response
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.mimetype = mimetype or accept or JSON


def decode_cells(content: Any, content_type: str | None) -> Any:
    """The array of a body as sagemaker-containers reads it. Raises UnsupportedFormatError."""
    if content_type == JSON:
        return needed("numpy", f"Reading {JSON}").array(json.loads(content))
    if content_type == CSV:
        return read_csv_cells(content)
    if content_type == NPY:
        return read_npy(content)
    raise UnsupportedFormatError(content_type)


def encode_cells(values: Any, content_type: str) -> Any:
    """The body of an array as sagemaker-containers writes it. Raises UnsupportedFormatError."""
    return write_csv_cells(values) if content_type == CSV else encode_array(values, content_type)
