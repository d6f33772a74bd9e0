"""Nothing leaves this machine unless an administrator registered where to: no other path opens a connection."""

import ast
import json
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.access.needs.bedrock import REMOTE
from outcrop.alarms.destinations import Webhook
from outcrop.alarms.notices import AlarmNotices
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.errors import Denied
from outcrop.invocation.admission import UNLIMITED
from outcrop.invocation.remote.remotes import Remotes
from tests.support.openai_double import OpenAiDouble, openai_double
from tests.support.servers import Running, running_server

PACKAGE = Path(__file__).parent.parent.parent / "src" / "outcrop"
# What opens connections, and who may import it: for which purpose, and at whose order.
CONNECTING = {
    # to the installation's own door; `outcrop pull s3://`; `outcrop compare`, at the address that it is given
    "boto3": {"cli/export.py", "cli/pulling.py", "evaluation/api_client.py"},
    # the second is the console, whose clients go to this installation's door; the third reads credentials from files; the
    # last runs in a user's own program, and only takes an address away
    "botocore.session": {"cli/export.py", "console/user_client.py", "cli/remote.py", "sagemaker/shim/sitecustomize.py"},
    "http.client": set[str](),
    "httpcore": {"evaluation/api_client.py", "invocation/remote/https.py"},  # as above; registered remote models
    # `outcrop pull`; notices of alarms, to the webhook that the administrator named
    "httpx": {"cli/fetching.py", "alarms/destinations.py"},
    "huggingface_hub": {"cli/fetching.py", "cli/pulling.py"},
    "obstore": {"buckets/mounted.py"},  # `outcrop mount`
    "requests": set[str](),
    "urllib.request": {"cli/doctor.py", "cli/listening.py"},  # the installation's own /health
    "urllib3": set[str](),
}
CONNECTING_OF_ASYNCIO = (
    "create_connection", "create_datagram_endpoint", "create_unix_connection", "open_connection", "open_unix_connection",
    "sock_connect",
)  # fmt: skip
MESSAGES = [{"role": "user", "content": [{"text": "hi"}]}]


class Mentions(NamedTuple):
    """What a file of the package imports, and the attributes it reads."""

    imports: frozenset[str]
    attributes: frozenset[str]


@cache
def package() -> dict[str, Mentions]:
    """All files of the package, parsed once."""
    return {str(path.relative_to(PACKAGE)): mentions(path) for path in PACKAGE.rglob("*.py")}


def mentions(path: Path) -> Mentions:
    imports, attributes = set[str](), set[str]()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imports |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Attribute):
            attributes.add(node.attr)
    return Mentions(frozenset(imports), frozenset(attributes))


def importing(module: str) -> set[str]:
    return {
        file
        for file, found in package().items()
        if any(name == module or name.startswith(f"{module}.") for name in found.imports)
    }


@pytest.mark.parametrize("module", CONNECTING)
def test_only_those_who_may_can_open_a_connection(module: str) -> None:
    assert importing(module) <= CONNECTING[module]


def test_asyncio_connects_to_sockets_of_this_machine_alone() -> None:
    opened = {
        (Path(file).name, name)
        for file, found in package().items()
        for name in found.attributes.intersection(CONNECTING_OF_ASYNCIO)
    }
    assert opened == {
        ("unix_client.py", "open_unix_connection"),
        ("outward.py", "create_connection"),  # of `socket`: from a sandbox to this installation's own door
        ("relay.py", "create_connection"),  # of `socket`: within a sandbox, to the program that serves there
    }


class Watch:
    """Connections that this process opens to anywhere but one address, by Python's own audit events."""

    def __init__(self) -> None:
        self.allowed: set[tuple[str, int]] = set()
        self.seen: list[Any] = []
        self.watches = False
        sys.addaudithook(self._hear)  # which stays for good, so there is one for all tests

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.watches:
            return
        if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][:2] not in self.allowed:
            self.seen.append(arguments[1])
        if event == "socket.getaddrinfo" and arguments[:2] not in self.allowed:
            self.seen.append(arguments[:2])


WATCH = Watch()


@contextmanager
def watching(server: Running) -> Iterator[list[Any]]:
    """What this process connects to inside the block, but for the server itself."""
    WATCH.seen, WATCH.allowed, WATCH.watches = [], {(server.settings.host, server.settings.port)}, True
    try:
        yield WATCH.seen
    finally:
        WATCH.watches = False


def read(stream: Any) -> list[Any]:
    with closing(stream):
        return list(stream)


def tour(server: Running) -> int:
    """Ask everything that could be thought to send something out; returns the number of refusals."""
    bedrock, runtime = server.client("bedrock"), server.client("bedrock-runtime")
    ids = ["gpt-4o", "us.anthropic.claude-3-haiku-20240307-v1:0", "https://api.openai.com/v1", "outcrop.far-v1"]
    ids += ["arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1", "qwen.qwen3-0-6b-v1"]
    asked = [bedrock.list_foundation_models, bedrock.list_custom_models]
    body = json.dumps({"inputText": "hi"})
    for each in ids:
        asked += [
            lambda m=each: runtime.converse(modelId=m, messages=MESSAGES),
            lambda m=each: read(runtime.converse_stream(modelId=m, messages=MESSAGES)["stream"]),
            lambda m=each: runtime.invoke_model(modelId=m, body=body),
            lambda m=each: runtime.count_tokens(modelId=m, input={"converse": {"messages": MESSAGES}}),
            lambda m=each: bedrock.get_foundation_model(modelIdentifier=m),
        ]
    refusals = 0
    for ask in asked:
        with suppress(BotoCoreError):  # an id that boto3 itself refuses
            try:
                ask()
            except ClientError:
                refusals += 1
    return refusals


def registered(server: Running, double: OpenAiDouble) -> None:
    remote = RemoteModel(api=RemoteApi.OPENAI, url=double.url, model="m")
    server.platform.catalog.register_remote("outcrop.far-v1", remote)


def test_no_connection_is_opened_but_to_what_is_registered_and_when_it_is_asked(tmp_path: Path) -> None:
    with openai_double() as double, running_server(tmp_path / "home") as server, watching(server) as seen:
        assert tour(server) > 15
        server.write()
        assert seen == []
        registered(server, double)
        host, port = double.url.split("/")[2].split(":")
        server.client("bedrock").list_foundation_models()
        server.client("bedrock").get_foundation_model(modelIdentifier="outcrop.far-v1")
        assert seen == []
        tour(server)
        assert {tuple(each) for each in seen} == {(host, int(port))}
        server.platform.catalog.withdraw_remote("outcrop.far-v1")
        seen.clear()
        assert tour(server) > 15
        assert seen == []


def test_a_setting_forbids_all_of_it(tmp_path: Path) -> None:
    with openai_double() as double, running_server(tmp_path / "home") as server, watching(server) as seen:
        registered(server, double)
        house = server.platform
        house.__dict__["remotes"] = Remotes(house.remote_credentials, house.engines, allowed=False)
        entry = house.catalog.find("outcrop.far-v1")
        assert entry is not None
        with pytest.raises(Denied) as refused:
            house.remotes.target("outcrop.far-v1", entry, UNLIMITED)
        assert str(refused.value) == (
            "outcrop.far-v1 is a remote model, and this installation sends nothing out (OUTCROP_REMOTE_MODELS=0). Name a "
            "model of this machine."
        )
        with pytest.raises(ClientError) as answered:
            server.client("bedrock-runtime").converse(modelId="outcrop.far-v1", messages=MESSAGES)
        assert answered.value.response["Error"]["Code"] == "AccessDeniedException"
        assert seen == []


def test_an_alarm_tells_nobody_but_the_webhook_that_the_administrator_named(tmp_path: Path) -> None:
    with openai_double() as double, running_server(tmp_path / "home") as server, watching(server) as seen:
        house, cloudwatch = server.platform, server.client("cloudwatch")

        def go_off(name: str) -> None:
            cloudwatch.put_metric_alarm(
                AlarmName=name, Namespace="n", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1,
                Threshold=1.0, ComparisonOperator="LessThanThreshold", AlarmDescription=double.url,
                AlarmActions=[f"arn:aws:sns:us-east-1:{house.account}:{name}"],
            )  # fmt: skip
            cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason=double.url)

        go_off("nobody-was-named")
        assert house.alarm_notices.turn() == 0
        assert seen == []
        hook = Webhook(url=f"{double.url}/hook", secret="of more than sixteen")
        told = AlarmNotices(house.store, house.clock, house.account, [hook])
        house.alarms._sends_action = told.take
        go_off("somebody-was")
        assert seen == []
        told.turn()
        host, port = double.url.split("/")[2].split(":")
        assert {tuple(each) for each in seen} == {(host, int(port))}


def test_the_page_names_the_condition_key_and_the_setting() -> None:
    page = (PACKAGE.parent.parent / "docs" / "remote.md").read_text()
    assert REMOTE in page
    assert "OUTCROP_REMOTE_MODELS" in page
