"""The PyTorch inference toolkit's promises, and what the plain inference toolkit has below them.

https://github.com/aws/sagemaker-pytorch-inference-toolkit (version 2.0.25, over sagemaker-inference 1.10.1)
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from .arrays import CSV, ENCODED, TEXTS, UnsupportedFormatError, decode, encode, needed
from .contract import ModelContract, ServedAnswer


class PyTorchContract(ModelContract):
    """A TorchScript file is loaded and called with a tensor; an error is its message and traceback, with status 500."""

    brought = (*ModelContract.brought, "pre_model_fn", "model_warmup_fn")

    def default_model_fn(self, model_dir: str) -> Any:
        torch = needed("torch", "Loading a TorchScript file")
        folder = Path(model_dir)
        found = sorted(path for path in folder.iterdir() if path.suffix in (".pt", ".pth") and path.is_file())
        usual = folder / "model.pt"
        if usual not in found and len(found) != 1:
            names = [path.name for path in found]
            raise ValueError(f"Exactly one .pth or .pt file is required for PyTorch models: {names}")
        path = usual if usual in found else found[0]
        try:
            return torch.jit.load(str(path), map_location=self._device())
        except RuntimeError as error:
            raise RuntimeError(
                f"Failed to load {path}. Please ensure model is saved using torchscript, or write a model_fn."
            ) from error

    def default_input_fn(self, data: Any, content_type: str | None) -> Any:
        torch = needed("torch", "Reading a tensor")
        array = decode(data, content_type)
        tensor = torch.FloatTensor(array) if content_type in TEXTS else torch.from_numpy(array)
        return tensor.to(self._device())

    def default_predict_fn(self, data: Any, model: Any) -> Any:
        torch = needed("torch", "Calling the model")
        with torch.no_grad():
            model = model.to(self._device())
            model.eval()
            return model(data.to(self._device()))

    def default_output_fn(self, prediction: Any, accept: str) -> Any:
        if type(prediction) is needed("torch", "Reading a prediction").Tensor:
            prediction = prediction.detach().cpu().numpy().tolist()
        for content_type in accept.replace(" ", "").split(","):
            if content_type in ENCODED:
                written = encode(prediction, content_type)
                return written.encode() if content_type == CSV else written
        raise UnsupportedFormatError(accept)

    def unwrapped(self, result: Any, accept: str) -> tuple[Any, str]:
        return (result[0], result[1]) if isinstance(result, tuple) else (result, accept)

    def refusal(self, error: Exception) -> ServedAnswer:
        # The toolkit's own error class carries a status; the user's code has it from the toolkit, or from toolkits.py.
        own = any(each.__name__ == "BaseInferenceToolkitError" for each in type(error).__mro__)
        status = int(getattr(error, "status_code", 500)) if own else 500
        message = str(getattr(error, "message", error)) if own else str(error) or "Invalid Request"
        text = f"{message}\n{traceback.format_exc()}"
        return ServedAnswer(status, "text/plain; charset=utf-8", text.encode())

    def _device(self) -> Any:
        torch = needed("torch", "The default functions of the toolkit")
        gpu = self.context.system_properties["gpu_id"]
        return torch.device("cpu" if gpu is None or not torch.cuda.is_available() else f"cuda:{gpu}")
