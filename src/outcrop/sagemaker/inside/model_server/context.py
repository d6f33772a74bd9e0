"""The `context` argument of the user's functions, as the model servers of the toolkits give it."""

from __future__ import annotations

from typing import Any


class RequestHeaders(dict[str, str]):
    """The headers of a request by their names as sent, found in any case."""

    def __init__(self, items: list[list[str]]) -> None:
        super().__init__((name, value) for name, value in items)
        self._folded = {name.lower(): value for name, value in items}

    def __getitem__(self, name: str) -> str:
        return self._folded[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._folded

    def get(self, name: str, default: Any = None) -> Any:
        return self._folded.get(name.lower(), default)


class RequestProcessor:
    """A request as the user's code reads it, and what the code says about the answer."""

    def __init__(self, headers: RequestHeaders) -> None:
        self._headers = headers
        self._status = 200
        self._phrase: str | None = None
        self._response_headers: dict[str, str] = {}

    def get_request_property(self, key: str) -> str | None:
        value: str | None = self._headers.get(key)
        return value

    def get_request_properties(self) -> RequestHeaders:
        return self._headers

    def report_status(self, code: int, reason_phrase: str | None = None) -> None:
        self._status, self._phrase = code, reason_phrase

    def get_response_status_code(self) -> int:
        return self._status

    def get_response_status_phrase(self) -> str | None:
        return self._phrase

    def add_response_property(self, key: str, value: str) -> None:
        self._response_headers[key] = value

    def get_response_header(self, key: str) -> str | None:
        return self._response_headers.get(key)

    def get_response_headers(self) -> dict[str, str]:
        return self._response_headers


class PrintedMetrics:
    """Measurements of the user's code: lines of the log, in the form of the toolkits' servers."""

    def __init__(self, request_id: str) -> None:
        self._request_id = request_id

    def add_counter(self, name: str, value: float, idx: int = 0, dimensions: Any = None) -> None:
        self.add_metric(name, value, idx, "count", dimensions)

    def add_time(self, name: str, value: float, idx: int = 0, unit: str = "ms", dimensions: Any = None) -> None:
        self.add_metric(name, value, idx, unit, dimensions)

    def add_size(self, name: str, value: float, idx: int = 0, unit: str = "MB", dimensions: Any = None) -> None:
        self.add_metric(name, value, idx, unit, dimensions)

    def add_percent(self, name: str, value: float, idx: int = 0, dimensions: Any = None) -> None:
        self.add_metric(name, value, idx, "percent", dimensions)

    def add_metric(self, name: str, value: float, idx: int = 0, unit: str = "", dimensions: Any = None) -> None:  # noqa: ARG002
        print(f"[METRICS]{name}.{unit}:{value}|#|requestID:{self._request_id}", flush=True)


class InvocationContext:
    """The container as the user's code sees it: its model, and the request of the moment."""

    def __init__(self, model_dir: str, gpu: int | None) -> None:
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": gpu,
            "batch_size": 1,
            "server_name": "Outcrop",
            "server_version": "1",
        }
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] | None = None
        self.metrics: PrintedMetrics | None = None

    def begin(self, request_id: str, headers: RequestHeaders) -> RequestProcessor:
        """Turn to the next request."""
        self.request_ids = {0: request_id}
        self.metrics = PrintedMetrics(request_id)
        request = RequestProcessor(headers)
        self.request_processor = [request]
        return request

    def get_request_id(self, idx: int = 0) -> str | None:
        return None if self.request_ids is None else self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> str | None:
        return self._request(idx).get_request_property(key)

    def get_all_request_header(self, idx: int) -> RequestHeaders:
        return self._request(idx).get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> str | None:
        return self._request(idx).get_response_header("content-type")

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:
        self._request(idx).report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = 200, phrase: str = "") -> None:
        self.set_response_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[int, str | None]:
        return self._request(idx).get_response_status_code(), self._request(idx).get_response_status_phrase()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self._request(idx).add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, str]:
        return self._request(idx).get_response_headers()

    def _request(self, idx: int) -> RequestProcessor:
        if self.request_processor is None:
            raise RuntimeError(
                "The context has no request while the model is loaded. Read it in predict_fn or the others."
            )
        return self.request_processor[idx]
