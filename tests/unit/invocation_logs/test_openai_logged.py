"""Invocations that come in by OpenAI's door, in the log."""

import asyncio
from pathlib import Path

from tests.support.log_house import BUCKET, LogHouse
from tests.support.openai_house import HI, STARTER, openai_house
from tests.support.patience import PATIENCE_S


def test_what_comes_in_by_openais_door_is_logged_too(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(_logged(tmp_path), timeout=PATIENCE_S))


async def _logged(tmp_path: Path) -> None:
    async with openai_house(tmp_path, "ho") as place:
        logs = LogHouse(place.house, place.clock)
        logs.let_in()
        logs.configure(s3Config={"bucketName": BUCKET})
        asked = {"model": STARTER, "messages": HI, "max_tokens": 8}
        whole = await place.post("/chat/completions", **asked)
        chunks = await place.stream("/chat/completions", **asked)
        await place.refused("POST", "/chat/completions", 400, json={**asked, "max_tokens": -1})
        await place.get("/models")
        place.house.invocation_logs.flush()
    one, streamed, refused = logs.records()
    assert one["input"]["inputBodyJson"] == asked
    assert one["output"]["outputBodyJson"] == whole
    assert one["output"]["outputTokenCount"] == whole["usage"]["completion_tokens"] > 0
    assert streamed["output"]["outputBodyJson"] == chunks
    assert (refused["errorCode"], "output" in refused) == ("invalid_value", False)
    assert {record["modelId"] for record in logs.records()} == {STARTER}
    assert [record["operation"] for record in logs.records()] == [
        "InvokeModel", "InvokeModelWithResponseStream", "InvokeModel"
    ]  # fmt: skip
