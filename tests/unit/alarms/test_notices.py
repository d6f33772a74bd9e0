"""Notices of alarms: they go where the administrator said, signed, again and again until they are taken, and else nowhere."""

import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from outcrop.alarms.destinations import signature
from outcrop.alarms.notices import MOST_TRIES
from outcrop.alarms.rule import AlarmState
from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.settings import Settings, read

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECRET = "a secret of more than sixteen"
ALARM: dict[str, Any] = {
    "Namespace": "Test", "MetricName": "m", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold", "AlarmDescription": "too slow",
    "Dimensions": [{"Name": "Row", "Value": "3"}],
}  # fmt: skip


class Receiver:
    """A webhook, with what it was told and what it answers."""

    def __init__(self) -> None:
        self.told: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.told.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                if receiver.status == 302:
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def opened(tmp_path: Path, **settings: Any) -> House:
    return House.open(replace(Settings(home=tmp_path / "home"), **settings), MovableClock(NOON))


def go_off(house: House, *, action: str = "", name: str = "slow") -> str:
    """An alarm that goes off; its action is a topic of this account unless another is named."""
    topic = action or f"arn:aws:sns:us-east-1:{house.account}:on-call"
    house.alarms.put(name, {**ALARM, "AlarmActions": [topic]}, region="us-east-1", tags={})
    house.alarms.set_state(name, AlarmState.ALARM, "for a test", None, region="us-east-1")
    return topic


def actions(house: House) -> list[tuple[str, dict[str, Any]]]:
    found = house.alarms.history.items(region="us-east-1", kind="Action", most=10)
    return [(item.summary, json.loads(item.data)) for item in found]


def test_a_notice_is_signed_and_says_what_cloudwatch_says(tmp_path: Path, receiver: Receiver) -> None:
    with opened(tmp_path, alarm_webhook=receiver.url, alarm_secret=SECRET) as house:
        topic = go_off(house)
        assert actions(house) == []  # not before it was taken
        assert house.alarm_notices.turn() == 1
        ((headers, body),) = receiver.told
        expected = signature(SECRET, headers["x-outcrop-timestamp"], body)
        assert headers["x-outcrop-signature"] == f"sha256={expected}"
        told = json.loads(body)
        assert (told["Type"], told["TopicArn"]) == ("Notification", topic)
        assert told["MessageId"] == headers["x-outcrop-message-id"]
        message = json.loads(told["Message"])
        assert (message["AlarmName"], message["NewStateValue"]) == ("slow", "ALARM")
        assert (message["OldStateValue"], message["NewStateReason"]) == ("INSUFFICIENT_DATA", "for a test")
        assert message["Trigger"]["Dimensions"] == [{"name": "Row", "value": "3"}]
        ((summary, data),) = actions(house)
        assert summary == f"Successfully executed action {topic}"
        assert (data["actionState"], data["sentTo"]) == ("Succeeded", "webhook")
        assert house.alarm_notices.turn() == 0
        assert SECRET not in repr(house.settings)


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_notice_that_is_not_taken_is_sent_again_and_given_up_at_last(
    tmp_path: Path, receiver: Receiver, status: int
) -> None:
    receiver.status = status
    with opened(tmp_path, alarm_webhook=receiver.url, alarm_secret=SECRET) as house:
        clock = house.clock
        assert isinstance(clock, MovableClock)
        topic = go_off(house)
        assert house.alarm_notices.turn() == 0
        assert house.alarm_notices.turn() == 0
        assert len(receiver.told) == 1  # it waits between
        for _ in range(2 * MOST_TRIES):
            clock.move(timedelta(minutes=16))
            house.alarm_notices.turn()
        assert len(receiver.told) == MOST_TRIES
        assert len({body for _, body in receiver.told}) == 1
        ((summary, data),) = actions(house)
        assert summary == f"Failed to execute action {topic}"
        assert data["error"] == f"the webhook answered {status}"


def test_a_notice_is_on_record_and_outlives_the_process(tmp_path: Path, receiver: Receiver) -> None:
    where = {"alarm_webhook": receiver.url, "alarm_secret": SECRET}
    with opened(tmp_path, **where) as house:
        go_off(house)
    with opened(tmp_path, **where) as again:
        assert again.alarm_notices.turn() == 1
    with opened(tmp_path, **where) as house:
        go_off(house, name="other")
    with opened(tmp_path, alarm_command="true") as another:
        another.alarm_notices.turn()
        _, data = actions(another)[0]
        assert (data["actionState"], data["error"]) == ("Failed", "the administrator names it no more")
    assert len(receiver.told) == 1


def test_a_command_gets_the_notice_and_none_of_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCROP_ROOT_KEY_OF_A_TEST", "secret")
    out = tmp_path / "told.json"
    script = tmp_path / "notice.py"
    script.write_text(
        "import json, os, sys\n"
        "names = [name for name in os.environ if name.startswith(('OUTCROP_', 'AWS_'))]\n"
        f"open({str(out)!r}, 'w').write(json.dumps([json.load(sys.stdin), names]))\n"
    )
    with opened(tmp_path, alarm_command=f"{sys.executable} {script}") as house:
        go_off(house, name="$(touch /tmp/never); `id`")
        assert house.alarm_notices.turn() == 1
    told, names = json.loads(out.read_text())
    assert json.loads(told["Message"])["AlarmName"] == "$(touch /tmp/never); `id`"
    assert names == ["OUTCROP_NOTICE_ID"]


@pytest.mark.parametrize(
    "action",
    [
        "arn:aws:sns:us-east-1:999999999999:somebody-elses",
        "arn:aws:lambda:us-east-1:123456789012:function:f",
        "arn:aws:sns:us-east-1:https://evil.example:t",
    ],
)
def test_what_a_user_names_is_never_sent_to(tmp_path: Path, receiver: Receiver, action: str) -> None:
    with opened(tmp_path, alarm_webhook=receiver.url, alarm_secret=SECRET) as house:
        go_off(house, action=action)
        assert house.alarm_notices.turn() == 0
        assert receiver.told == []
        assert actions(house)[0][0].startswith("Not carried out in Outcrop")


def test_nothing_is_sent_where_nobody_was_named(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        topic = go_off(house)
        assert house.alarm_notices.turn() == 0
        assert actions(house)[0][0] == f"Not carried out in Outcrop: action {topic}"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"OUTCROP_ALARM_WEBHOOK": "ftp://x"}, "OUTCROP_ALARM_WEBHOOK"),
        ({"OUTCROP_ALARM_WEBHOOK": "http://example.org/h", "OUTCROP_ALARM_SECRET": SECRET}, "in clear"),
        ({"OUTCROP_ALARM_WEBHOOK": "https://example.org/h"}, "OUTCROP_ALARM_SECRET"),
        ({"OUTCROP_ALARM_WEBHOOK": "https://example.org/h", "OUTCROP_ALARM_SECRET": "short"}, "16 characters"),
    ],
)
def test_a_webhook_has_an_address_and_a_secret(environment: dict[str, str], told: str) -> None:
    with pytest.raises(Invalid, match=told):
        read({"OUTCROP_HOME": "/tmp", **environment})
