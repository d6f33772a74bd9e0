"""Data capture: what an endpoint was asked and answered, as lines of JSON in S3, as its configuration wants it.

https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture-endpoint.html
"""

import base64
import json
import logging
import random
import threading
import uuid
from collections import defaultdict
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.clock import Clock
from outcrop.data.data import Data
from outcrop.loops import contained
from outcrop.sagemaker.hosting.endpoints import COMPONENT
from outcrop.sagemaker.hosting.invoking import ModelAnswer, ModelRequest
from outcrop.sagemaker.hosting.routing import Route
from outcrop.sagemaker.training_request import SERVICE

_LINES = "application/jsonlines"
_JSON, _CSV = "application/json", "text/csv"
_MOST_BYTES = 64 << 20
"Waiting to be written; what comes beyond is left out, and told."
_log = logging.getLogger("outcrop.server")


class _CapturePlace(NamedTuple):
    """Where the lines of a variant go, and under which role."""

    prefix: str
    role: str
    endpoint_arn: str


class DataCapture:
    """The captured requests of this process: collected by `add`, written by `flush`."""

    def __init__(self, data: Data, clock: Clock) -> None:
        self._data = data
        self._clock = clock
        self._lines: dict[_CapturePlace, list[bytes]] = defaultdict(list)
        self._num_bytes = 0
        self._lock = threading.Lock()

    def add(self, route: Route, request: ModelRequest, answer: ModelAnswer, *, inference_id: str | None) -> None:
        """Keep a request and its answer, where the endpoint captures and the draw falls on it."""
        plan = route.endpoint.serving
        config = plan.capture if plan is not None and route.endpoint.row.kind != COMPONENT else None
        if config is None or not config.get("EnableCapture"):
            return
        if random.random() * 100 >= config["InitialSamplingPercentage"]:
            return
        now = self._clock.now()
        line = _line(config, request, answer, now=now, inference_id=inference_id)
        place = _CapturePlace(_prefix(config, route, now), route.fleet.role, route.endpoint.row.arn)
        with self._lock:
            if self._num_bytes + len(line) > _MOST_BYTES:
                _log.warning("a request to %s is not captured: too many wait to be written", route.endpoint_name)
                return
            self._lines[place].append(line)
            self._num_bytes += len(line)

    def flush(self) -> None:
        """Write what was collected, an object for each variant and hour."""
        with self._lock:
            collected, self._lines, self._num_bytes = self._lines, defaultdict(list), 0
        for place, lines in collected.items():
            with contained(_log, f"writing what {place.endpoint_arn} captured"):
                now = self._clock.now()
                data = self._data.under(place.role, source_arn=place.endpoint_arn, service=SERVICE)
                name = f"{now:%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
                data.put(f"{place.prefix}/{name}", b"".join(lines), content_type=_LINES)


def _prefix(config: dict[str, Any], route: Route, now: datetime) -> str:
    base = config["DestinationS3Uri"].rstrip("/")
    return f"{base}/{route.endpoint_name}/{route.variant.name}/{now:%Y/%m/%d/%H}"


def _line(
    config: dict[str, Any],
    request: ModelRequest,
    answer: ModelAnswer,
    *,
    now: datetime,
    inference_id: str | None,
) -> bytes:
    modes = {each["CaptureMode"] for each in config["CaptureOptions"]}
    both = "InputAndOutput" in modes
    parts = {}
    if both or "Input" in modes:
        parts["endpointInput"] = _part("INPUT", request.content_type or _JSON, request.body, config)
    if both or "Output" in modes:
        parts["endpointOutput"] = _part("OUTPUT", answer.content_type or _JSON, answer.body, config)
    metadata = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if inference_id is not None:
        metadata["inferenceId"] = inference_id
    told = {"captureData": parts, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(told, ensure_ascii=False).encode() + b"\n"


def _part(mode: str, content_type: str, body: bytes, config: dict[str, Any]) -> dict[str, str]:
    headers = config.get("CaptureContentTypeHeader") or {}
    plain = content_type.partition(";")[0].strip().lower()
    encoding = "BASE64"
    if plain in headers.get("JsonContentTypes", [_JSON]):
        encoding = "JSON"
    elif plain in headers.get("CsvContentTypes", [_CSV]):
        encoding = "CSV"
    text = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8", "replace")
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}
