"""Modules of the toolkits that the code of models imports: where the environment lacks them, these stand in.

Only what such code uses is here: content types, encoders, decoders, errors and responses. An installed toolkit comes
first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from . import arrays, huggingface, scikit_learn
from .arrays import ANY, CSV, JSON, NPY, NPZ, OCTET_STREAM, TEXTS, UnsupportedFormatError


class BaseInferenceToolkitError(Exception):
    """An error of the user's with the status that the caller gets."""

    def __init__(self, status_code: int, message: str, phrase: str) -> None:
        self.status_code = status_code
        self.message = message
        self.phrase = phrase
        super().__init__(status_code, message, phrase)


class GenericInferenceToolkitError(BaseInferenceToolkitError):
    """A status with its text; without one, an invalid request."""

    def __init__(self, status_code: int, message: str | None = None, phrase: str | None = None) -> None:
        said = message or "Invalid Request"
        super().__init__(status_code, said, phrase or said)


_TYPES = {"JSON": JSON, "CSV": CSV, "OCTET_STREAM": OCTET_STREAM, "ANY": ANY, "NPY": NPY, "UTF8_TYPES": TEXTS}
_ERRORS = {
    "UnsupportedFormatError": UnsupportedFormatError,
    "BaseInferenceToolkitError": BaseInferenceToolkitError,
    "GenericInferenceToolkitError": GenericInferenceToolkitError,
}
_CODERS = {"encode": arrays.encode, "decode": arrays.decode, "SUPPORTED_CONTENT_TYPES": arrays.ENCODED}
_IMAGES = ("JPEG", "PNG", "TIFF", "BMP", "GIF", "WEBP")
_VISION = {**{name: f"image/{name.lower()}" for name in _IMAGES}, "X_IMAGE": huggingface.ANY_IMAGE}
_SPEECH = {
    "FLAC": "audio/x-flac",
    "MP3": "audio/mpeg",
    "WAV": "audio/wave",
    "OGG": "audio/ogg",
    "X_AUDIO": "audio/x-audio",
}
_FRAMEWORK = "sagemaker_containers.beta.framework"

OFFERED: dict[str, dict[str, Any]] = {
    "sagemaker_inference": {},
    "sagemaker_inference.content_types": {**_TYPES, "NPZ": NPZ},
    "sagemaker_inference.encoder": _CODERS,
    "sagemaker_inference.decoder": _CODERS,
    "sagemaker_inference.errors": _ERRORS,
    "sagemaker_huggingface_inference_toolkit": {},
    "sagemaker_huggingface_inference_toolkit.content_types": {
        **_TYPES,
        **_VISION,
        **_SPEECH,
        "VISION_TYPES": list(_VISION.values()),
        "AUDIO_TYPES": list(_SPEECH.values()),
    },
    "sagemaker_huggingface_inference_toolkit.decoder_encoder": {
        "decode": huggingface.decode,
        "encode": huggingface.encode,
    },
    "sagemaker_containers": {},
    "sagemaker_containers.beta": {},
    _FRAMEWORK: {},
    _FRAMEWORK + ".content_types": _TYPES,
    _FRAMEWORK + ".encoders": {"encode": scikit_learn.encode_cells, "decode": scikit_learn.decode_cells},
    _FRAMEWORK + ".errors": {"UnsupportedFormatError": UnsupportedFormatError},
    _FRAMEWORK + ".worker": {"Response": scikit_learn.FrameworkResponse},
    # Scripts import these in the same line, and use none of them when they serve.
    _FRAMEWORK + ".env": {},
    _FRAMEWORK + ".modules": {},
    _FRAMEWORK + ".transformer": {},
    _FRAMEWORK + ".server": {},
}
"Each module, with its names; one that has modules below it is a package."


class OfferedModules(MetaPathFinder, Loader):
    """The finder of OFFERED, asked after all others."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if name not in OFFERED:
            return None
        return ModuleSpec(name, self, is_package=any(other.startswith(name + ".") for other in OFFERED))

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(OFFERED[module.__name__])


def offer() -> None:
    """Let imports find these modules where nothing else has them."""
    sys.meta_path.append(OfferedModules())
