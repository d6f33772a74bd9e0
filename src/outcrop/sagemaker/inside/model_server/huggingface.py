"""The Hugging Face inference toolkit's promises: a pipeline of transformers, where the code brings no functions.

https://github.com/aws/sagemaker-huggingface-inference-toolkit (version 2.6.0)
"""

from __future__ import annotations

import base64
import csv
import datetime
import inspect
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from .arrays import CSV, JSON, NPY, UnsupportedFormatError, needed, read_npy, write_npy
from .contract import ModelContract, ServedAnswer
from .error_bodies import error_body

ANY_IMAGE = "image/x-image"
IMAGES = {"image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/webp", ANY_IMAGE}
AUDIO = {"audio/x-flac", "audio/mpeg", "audio/wave", "audio/ogg", "audio/x-audio"}
_TASKS = {
    "ForQuestionAnswering": "question-answering",
    "TapasForQuestionAnswering": "table-question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMultipleChoice": "multiple-choice",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "EncoderDecoderModel": "text2text-generation",
    "GPT2LMHeadModel": "text-generation",
    "T5WithLMHeadModel": "text2text-generation",
}
"The end of an architecture's name, and the task of its pipeline; the last that fits counts."
_NUM_ARGUMENTS = {"model_fn": 1, "transform_fn": 4, "input_fn": 2, "predict_fn": 2, "output_fn": 2}
"Without the context."
_NO_CSV = ("zero-shot-classification", "table-question-answering")
_CSV_NEEDS_NAMES = (
    "You need to provide the correct CSV with Header columns to use it with the inference toolkit default handler."
    " : 400"
)


class HuggingFaceContract(ModelContract):
    """A pipeline by HF_TASK, or by the architecture in config.json; errors are 400, as JSON."""

    def model_dir(self) -> str:
        """/opt/ml/model, or the folder of HF_MODEL_ID in the cache of the hub."""
        name = os.environ.get("HF_MODEL_ID")
        if not name:
            return super().model_dir()
        if Path(name).is_dir():
            return name
        hub = needed("huggingface_hub", "HF_MODEL_ID")
        folder: str = hub.snapshot_download(
            name, revision=os.environ.get("HF_MODEL_REVISION") or None, token=os.environ.get("HF_API_TOKEN") or None
        )
        return folder

    def functions_of(self, module: ModuleType | None) -> dict[str, Callable[..., Any]]:
        found = super().functions_of(module)
        for name, function in found.items():
            num_taken, num_given = len(inspect.signature(function).parameters), _NUM_ARGUMENTS[name]
            if num_taken not in (num_given, num_given + 1):
                raise TypeError(
                    f"{name} definition takes {num_given} or {num_given + 1} arguments but {num_taken} were given."
                )
        return found

    def default_accept(self) -> str:
        return JSON

    def default_model_fn(self, model_dir: str) -> Any:
        # The user's code may read the task that was found; so the toolkit has it.
        os.environ["HF_TASK"] = task = task_of(Path(model_dir), os.environ.get("HF_TASK"))
        gpu = self.context.system_properties["gpu_id"]
        if task == "text-to-image":
            return TextToImage(model_dir, gpu)
        transformers = needed("transformers", f"A pipeline for {task}")
        return transformers.pipeline(
            task=task,
            model=model_dir,
            device=-1 if gpu is None else gpu,
            trust_remote_code=_is_true(os.environ.get("HF_TRUST_REMOTE_CODE") or "false"),
        )

    def default_input_fn(self, data: Any, content_type: str | None) -> Any:
        task = os.environ.get("HF_TASK")
        if task in _NO_CSV and content_type == CSV:
            raise ValueError(f"content type {content_type} not support with {task}, use different content_type : 400")
        return decode(data, content_type)

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        inputs = data.pop("inputs", data)
        parameters = data.pop("parameters", None)
        return model(inputs) if parameters is None else model(inputs, **parameters)

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        return encode(prediction, accept)

    def unwrapped(self, result: Any, accept: str) -> tuple[Any, str]:
        return result, accept

    def refusal(self, error: Exception) -> ServedAnswer:
        return ServedAnswer(400, JSON, error_body(400, "InternalServerException", str(error)))


class TextToImage:
    """A pipeline of diffusers, called as those of transformers are; it gives one image."""

    def __init__(self, model_dir: str, gpu: int | None) -> None:
        diffusers = needed("diffusers", "text-to-image")
        torch = needed("torch", "text-to-image")
        half = torch.bfloat16 if gpu is not None and torch.cuda.is_bf16_supported() else torch.float16
        dtype = torch.float32 if gpu is None else half
        loaded = diffusers.DiffusionPipeline.from_pretrained(model_dir, torch_dtype=dtype)
        self._pipeline = loaded.to("cpu" if gpu is None else f"cuda:{gpu}")

    def __call__(self, prompt: Any, **parameters: Any) -> Any:
        return self._pipeline(prompt, **{**parameters, "num_images_per_prompt": 1}).images[0]


def task_of(model_dir: Path, named: str | None) -> str:
    """The task of a pipeline: the one that is named, else the one that the files tell. Raises ValueError."""
    if named:
        return named
    config = model_dir / "config.json"
    if config.exists():
        architecture = (json.loads(config.read_text(encoding="utf-8")).get("architectures") or [""])[0]
        found = [task for ending, task in _TASKS.items() if architecture.endswith(ending)]
        if not found:
            raise ValueError(
                f"Task couldn't be inferenced from {architecture or 'config.json'}. Set HF_TASK in the environment of "
                f"the model; architectures that tell their task end in {', '.join(_TASKS)}."
            )
        return found[-1]
    if (model_dir / "model_index.json").exists():
        return "text-to-image"
    raise ValueError(
        f"{model_dir} holds no config.json. Put the model's files at the top of the archive and name its task in "
        "HF_TASK, or write a model_fn in code/inference.py."
    )


def decode(content: Any, content_type: str | None = JSON) -> Any:
    """The input of a pipeline. Raises UnsupportedFormatError."""
    if content_type == JSON:
        return json.loads(content)
    if content_type == CSV:
        return _decode_csv(content)
    if content_type == NPY:
        return read_npy(content)
    if content_type in IMAGES:
        image = needed("PIL.Image", "Reading an image").open(io.BytesIO(content))
        return {"inputs": image.convert("RGB")}
    if content_type in AUDIO:
        return {"inputs": bytes(content)}
    raise UnsupportedFormatError(content_type)


def encode(content: Any, accept_type: str = JSON) -> Any:
    """The body of a prediction. Raises UnsupportedFormatError."""
    if accept_type == JSON:
        return json.dumps(content, ensure_ascii=False, allow_nan=False, default=_plain, separators=(",", ":"))
    if accept_type == CSV:
        return _encode_csv(content)
    if accept_type == NPY:
        return write_npy(content)
    if accept_type in IMAGES:
        kind = "PNG" if accept_type == ANY_IMAGE else accept_type.split("/")[-1].upper()
        return _image_bytes(content, kind)
    raise UnsupportedFormatError(accept_type)


def _decode_csv(text: str) -> dict[str, Any]:
    lines = text.splitlines()
    if not lines or not any(name in lines[0].lower() for name in ("question", "context", "inputs")):
        raise ValueError(_CSV_NEEDS_NAMES)
    rows = list(csv.DictReader(io.StringIO(text)))
    if rows and "inputs" in rows[0]:
        return {"inputs": [row["inputs"] for row in rows]}
    return {"inputs": rows}


def _encode_csv(content: Any) -> str:
    rows = content if isinstance(content, list) else list(content)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0].keys())
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """The JSON value of what a pipeline may give: arrays and numbers of numpy, tensors, times, images."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, datetime.datetime):
        return str(value)
    save: Callable[..., None] | None = getattr(value, "save", None)
    if save is not None and hasattr(value, "tobitmap"):  # an image, told without importing PIL
        return base64.b64encode(_image_bytes(value, "PNG")).decode()
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _image_bytes(image: Any, kind: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind)
    return buffer.getvalue()


def _is_true(text: str) -> bool:
    return text.lower() in ("y", "yes", "t", "true", "on", "1")
