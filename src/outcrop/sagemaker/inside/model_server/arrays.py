"""Bodies of requests and answers as the toolkits read and write them: JSON, CSV and npy, to arrays and back."""

from __future__ import annotations

import csv
import importlib
import io
import json
from typing import Any

JSON = "application/json"
CSV = "text/csv"
NPY = "application/x-npy"
NPZ = "application/x-npz"
OCTET_STREAM = "application/octet-stream"
ANY = "*/*"
TEXTS = [JSON, CSV]
"Types whose body reaches input_fn as text; that of every other type stays bytes."
ENCODED = {JSON, CSV, NPY}


class UnsupportedFormatError(Exception):
    """A content type that the defaults of a toolkit neither read nor write."""

    def __init__(self, content_type: object) -> None:
        super().__init__(
            f"Content type {content_type} is not supported by this framework.\n\n"
            "Write an input_fn that reads it, or an output_fn that writes it."
        )


class MissingLibrary(ImportError):
    """A library that a default needs and this environment lacks."""


def needed(name: str, purpose: str) -> Any:
    """A library of the environment, imported when something needs it. Raises MissingLibrary."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        top = name.split(".")[0]
        if missing.name not in (name, top):
            raise
        package = {"PIL": "Pillow"}.get(top, top)
        said = f"{purpose} needs {package}, which this environment lacks. Name it in code/requirements.txt."
        raise MissingLibrary(said, name=name) from missing


def decode(content: Any, content_type: object) -> Any:
    """The array of a body. Raises UnsupportedFormatError."""
    numpy = needed("numpy", f"Reading {content_type}")
    if content_type == JSON:
        return numpy.array(json.loads(content))
    if content_type == CSV:
        return numpy.genfromtxt(io.StringIO(content), dtype=None, delimiter=",")
    if content_type == NPY:
        return read_npy(content)
    if content_type == NPZ:
        return needed("scipy.sparse", f"Reading {NPZ}").load_npz(io.BytesIO(content))
    raise UnsupportedFormatError(content_type)


def encode(values: Any, content_type: object) -> Any:
    """The body of an array: text, or bytes for npy. Raises UnsupportedFormatError."""
    if content_type == JSON:
        return json.dumps(values, default=_as_list)
    if content_type == CSV:
        text = io.StringIO()
        needed("numpy", f"Writing {CSV}").savetxt(text, values, delimiter=",", fmt="%s")
        return text.getvalue()
    if content_type == NPY:
        return write_npy(values)
    raise UnsupportedFormatError(content_type)


def read_npy(content: bytes) -> Any:
    # allow_pickle, as the toolkits have it: whoever may invoke this endpoint is trusted as its code is, and both stay
    # inside the sandbox.
    return needed("numpy", f"Reading {NPY}").load(io.BytesIO(content), allow_pickle=True)


def write_npy(values: Any) -> bytes:
    buffer = io.BytesIO()
    needed("numpy", f"Writing {NPY}").save(buffer, values)
    return buffer.getvalue()


def read_csv_cells(content: str) -> Any:
    """The cells of a CSV body as texts; a single row or column has one dimension."""
    rows = list(csv.reader(io.StringIO(content), strict=True))
    return needed("numpy", f"Reading {CSV}").array(rows).squeeze()


def write_csv_cells(values: Any) -> str:
    """The CSV body of an array; values of one dimension are a column."""
    array = needed("numpy", f"Writing {CSV}").array(values)
    if array.ndim == 1:
        array = array.reshape(-1, 1)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", strict=True).writerows(array)
    return text.getvalue()


def _as_list(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
