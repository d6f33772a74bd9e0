"""Client tokens of the operations on pipelines: sent again they are answered again, and make or change nothing."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.listings.pipelines import DEFINITION
from tests.support.servers import Running, running_server

AT_ONCE = 4
USED = "ClientRequestToken: this token was used for a different request"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tokens") / "home") as running:
        yield running


def token(name: str) -> str:
    return name.ljust(32, "-")


def rows(house: Running, kind: str) -> int:
    return len(house.platform.store.resources.all(kind))


def created(house: Running, name: str) -> dict[str, Any]:
    """A request for a pipeline that could never run, and need not."""
    definition = DEFINITION.replace('"Training", "Arguments": {}', '"Fail", "Arguments": {"ErrorMessage": "x"}')
    return {"PipelineName": name, "RoleArn": house.installation.service_role_arn, "PipelineDefinition": definition}


def send_at_once(method: Any, asked: dict[str, Any]) -> str:
    """The one ARN that all are answered."""
    with ThreadPoolExecutor(AT_ONCE) as clients:
        answers = [each.result() for each in [clients.submit(method, **asked) for _ in range(AT_ONCE)]]
    found = {str(value) for answer in answers for member, value in answer.items() if member.endswith("Arn")}
    (one,) = found
    return one


def test_a_token_stands_for_one_request_of_each_operation(house: Running) -> None:
    client = house.client("sagemaker")
    asked = {**created(house, "one"), "ClientRequestToken": token("create")}
    pipeline = send_at_once(client.create_pipeline, asked)
    assert rows(house, "pipeline") == 1
    with pytest.raises(ClientError, match=rf"\(ConflictException\).*{USED}"):
        client.create_pipeline(**asked | {"PipelineDescription": "another"})

    start = {"PipelineName": "one", "ClientRequestToken": token("start")}
    execution = send_at_once(client.start_pipeline_execution, start)
    assert execution.startswith(f"{pipeline}/execution/")
    assert rows(house, "pipeline-execution") == 1
    with pytest.raises(ClientError, match=USED):
        client.start_pipeline_execution(**start, PipelineExecutionDescription="another")

    of_execution = {"PipelineExecutionArn": execution}
    other = client.start_pipeline_execution(PipelineName="one")["PipelineExecutionArn"]
    for name, status in (("stop", "Stopped"), ("retry", "Executing")):
        method = getattr(client, f"{name}_pipeline_execution")
        assert send_at_once(method, {**of_execution, "ClientRequestToken": token(name)}) == execution
        assert client.describe_pipeline_execution(**of_execution)["PipelineExecutionStatus"] == status
        with pytest.raises(ClientError, match=USED):
            method(PipelineExecutionArn=other, ClientRequestToken=token(name))

    for each in (execution, other):
        client.stop_pipeline_execution(PipelineExecutionArn=each)
    assert (
        send_at_once(client.delete_pipeline, {"PipelineName": "one", "ClientRequestToken": token("delete")}) == pipeline
    )
    assert rows(house, "pipeline") == rows(house, "pipeline-execution") == 0
    client.create_pipeline(**created(house, "two"))
    with pytest.raises(ClientError, match=USED):
        client.delete_pipeline(PipelineName="two", ClientRequestToken=token("delete"))
