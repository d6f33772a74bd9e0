"""OpenAI's door: which requests are its, who may come in, and how it says no."""

from datetime import timedelta
from pathlib import Path

import pytest

from outcrop.invocation.quotas import Quota, Scope
from tests.support.openai_house import HI, STARTER, OpenAiHouse, openai_house, run, speaking

CHAT = {"model": STARTER, "messages": HI}
CALL, INVOKE = "bedrock:CallWithBearerToken", "bedrock:InvokeModel"


def test_a_path_that_is_none_and_a_method_that_is_none_are_told_in_openais_form(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            error = await place.refused("GET", "/nothing", 404)
            assert error == {
                "message": "Unknown request URL: GET /v1/nothing. Please check the URL for typos; docs/openai.md lists what "
                "is served.",
                "type": "invalid_request_error",
                "param": None,
                "code": "unknown_url",
            }
            error = await place.refused("GET", "/chat/completions", 405)
            assert error["message"] == "Not allowed to GET on /v1/chat/completions. Send POST."

    run(scenario())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/moderations", "moderations"),
        ("/images/generations", "images"),
        ("/audio/speech", "audio endpoints"),
        ("/assistants", "assistants"),
        ("/batches", "batches"),
        ("/vector_stores/vs_1/files", "vector stores"),
    ],
)
def test_what_is_not_built_is_refused_by_its_name(path: str, name: str, shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            error = await place.refused("POST", path, 404, json={})
            assert f"OpenAI's {name} are not built in Outcrop" in error["message"]

    run(scenario())


def test_the_longer_prefix_is_the_same_door(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            answer = await place.ask("GET", f"/models/{STARTER}", prefix="/openai/v1")
            assert answer.json()["id"] == STARTER
            # Without a key, `openai` may be somebody's bucket.
            answer = await place.ask("GET", "/models", prefix="/openai/v1", key=None)
            assert b"<Code>AccessDenied</Code>" in answer.content

    run(scenario())


def test_an_access_key_comes_in_with_its_secret_and_nobody_else_does(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            key_id, secret = place.key.split(":")
            wrong = [
                f"{key_id}:{secret}x",
                f"{key_id}:",
                key_id,
                f"AKIA0000000000000000:{secret}",
                "sk-proj-abc",
                f"{place.key}:token",
            ]
            for key in wrong:
                error = await place.refused("GET", "/models", 401, key=key)
                assert error["code"] == "invalid_api_key"
                assert secret not in error["message"]
            error = await place.refused("GET", "/models", 401, key=None)
            assert error["message"].startswith("You didn't provide an API key.")
            assert (await place.ask("GET", "/models")).status_code == 200

    run(scenario())


def test_a_long_term_key_of_bedrock_comes_in_until_it_expires(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            place.user("ada", CALL, INVOKE)
            credentials = place.house.access.service_credentials
            _, key = credentials.create("ada", "bedrock.amazonaws.com", age_days=1)
            assert (await place.ask("POST", "/chat/completions", json=CHAT, key=key)).status_code == 200
            place.clock.move(timedelta(days=2))
            assert (await place.refused("POST", "/chat/completions", 401, json=CHAT, key=key))[
                "code"
            ] == "invalid_api_key"

    run(scenario())


def test_a_key_needs_the_permission_of_keys_and_that_of_its_request(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            for name, actions, missing in (("ada", (INVOKE,), CALL), ("bob", (CALL,), INVOKE)):
                key = place.user(name, *actions)
                error = await place.refused("POST", "/chat/completions", 403, json=CHAT, key=key)
                assert f"not authorized to perform: {missing}" in error["message"]
                assert error["code"] == "access_denied"
            # To stream is another permission, as at Bedrock.
            carl = place.user("carl", CALL, INVOKE)
            assert (await place.ask("POST", "/chat/completions", json=CHAT, key=carl)).status_code == 200
            error = await place.refused("POST", "/chat/completions", 403, json={**CHAT, "stream": True}, key=carl)
            assert "bedrock:InvokeModelWithResponseStream" in error["message"]

    run(scenario())


def test_an_inactive_access_key_stays_outside(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            key = place.user("ada", CALL, INVOKE)
            place.house.access.credentials.set_status("ada", key.partition(":")[0], active=False)
            assert (await place.refused("POST", "/chat/completions", 401, json=CHAT, key=key))[
                "code"
            ] == "invalid_api_key"

    run(scenario())


def test_a_body_that_is_none_is_told(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            for body in (b"", b"{", b"[1]", b"\xff"):
                error = await place.refused("POST", "/chat/completions", 400, content=body)
                assert error["message"].startswith("We could not parse the JSON body of your request")

    run(scenario())


def test_every_answer_has_an_id_and_pages_of_any_origin_may_read_it(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            origin = {"origin": "https://page.example"}
            asked = {
                **origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            }
            for prefix in ("/v1", "/openai/v1"):
                allowed = await place.ask("OPTIONS", "/chat/completions", headers=asked, key=None, prefix=prefix)
                assert allowed.status_code == 200
                assert allowed.headers["access-control-allow-origin"] == "*"
                assert allowed.headers["access-control-allow-headers"] == "authorization"
            for answer in (
                await place.ask("POST", "/chat/completions", json=CHAT, headers=origin),
                await place.ask("GET", "/nothing", headers=origin),
            ):
                assert len(answer.headers["x-request-id"]) == 36
                assert answer.headers["access-control-allow-origin"] == "*"
                assert "x-request-id" in answer.headers["access-control-expose-headers"]

    run(scenario())


def test_an_invocation_is_counted_and_audited_as_bedrocks(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            await place.post("/chat/completions", **CHAT)
            place.house.traffic.pass_on(place.house.points)
            tokens = place.house.traffic.tokens
            assert tokens[STARTER, "output"] > 0
            place.house.audit.flush()
            (recorded,) = place.house.audit.entries(operation="InvokeModel")
            entry, caller = recorded.entry, f"arn:aws:iam::{place.house.account}:user/admin"
            assert (entry.service, entry.status, entry.caller) == ("bedrock-runtime", 200, caller)

    run(scenario())


def test_a_quota_is_told_in_headers_and_a_request_beyond_it_is_told_when_to_come_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with openai_house(tmp_path) as place:
            place.house.quotas.set(Quota(scope=Scope.USER, name="*", requests_per_minute=1))
            answer = await place.ask("POST", "/chat/completions", json=CHAT)
            assert answer.headers["x-ratelimit-limit-requests"] == "1"
            assert answer.headers["x-ratelimit-remaining-requests"] == "0"
            assert answer.headers["x-ratelimit-reset-requests"] == "1m0s"
            refused = await place.ask("POST", "/chat/completions", json=CHAT)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            assert refused.json()["error"]["type"] == "rate_limit_error"
            assert 1 <= int(refused.headers["retry-after"]) <= 60

    run(scenario())
