"""Rows of every kind, damaged in every way: loops go on, others are listed, leased and served, and nothing dies."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from outcrop.clock import SystemClock
from outcrop.customization.kind import KIND as JOB_KIND
from outcrop.deployments import states
from outcrop.engines import orders as engines
from outcrop.engines.orders import Engines
from outcrop.house import House
from outcrop.settings import Settings
from outcrop.store.damage import Damaged
from outcrop.store.damage_sweep import DamageSweep
from outcrop.store.database import writing
from outcrop.worker.work import Worker
from tests.support.databases import sqlite_only
from tests.support.servers import Running, running_server

pytestmark = sqlite_only  # whose columns hold anything: PostgreSQL takes no such rows

REGION, ACCOUNT = "us-east-1", "123456789012"
ROWS = {
    JOB_KIND.name: "InProgress",
    "model-invocation-job": "Submitted",
    "evaluation-job": "InProgress",
    "custom-model": "Active",
    states.ON_DEMAND: "Creating",
    states.THROUGHPUT: "Updating",
    engines.KIND: "Ordered",
    "something-else": "Odd",
}
WHOLE: dict[str, dict[str, Any]] = {
    JOB_KIND.name: {
        "statusDetails": {phase: {"status": "NotStarted"} for phase in ("validationDetails", "dataProcessingDetails", "trainingDetails")},
        "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/x", "outputModelName": "m", "customizationType": "FINE_TUNING",
        "modelArn": "arn:aws:bedrock:us-east-1:1:custom-model/x/y", "roleArn": "arn:aws:iam::1:role/r", "baseId": "x", "parentArn": None,
        "hyperParameters": {}, "trainingDataConfig": {"s3Uri": "s3://bucket/a"}, "validationDataConfig": {"validators": []},
        "outputDataConfig": {"s3Uri": "s3://bucket/b"}, "customModelTags": [],
    },
    "model-invocation-job": {
        "modelArn": "arn:aws:bedrock:us-east-1::foundation-model/x", "roleArn": "arn:aws:iam::1:role/r",
        "modelInvocationType": "InvokeModel", "timeoutDurationInHours": 24, "jobExpirationTime": "2226-11-28T00:00:00+00:00",
        "inputDataConfig": {"s3InputDataConfig": {"s3Uri": "s3://bucket/a"}},
        "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://bucket/b"}},
    },
    "evaluation-job": {
        "application": "ModelEvaluation", "roleArn": "arn:aws:iam::1:role/r", "models": {},
        "evaluationConfig": {"automated": {"datasetMetricConfigs": [
            {"taskType": "General", "dataset": {"name": "d"}, "metricNames": ["Builtin.Correctness"]},
        ]}},
        "inferenceConfig": {"models": [{"bedrockModel": {"modelIdentifier": "x"}}]}, "outputDataConfig": {"s3Uri": "s3://bucket/b"},
    },
    "custom-model": {
        "baseId": "outcrop.starter-v1", "baseModelArn": "arn:aws:bedrock:us-east-1::foundation-model/x", "customizationType": "IMPORTED",
        "promptFormat": "text", "foundationModelArn": "arn:aws:bedrock:us-east-1::foundation-model/x",
    },
    states.ON_DEMAND: {"modelArn": "arn:aws:bedrock:us-east-1:1:custom-model/x/y", "desiredModelArn": "arn:aws:bedrock:us-east-1:1:custom-model/x/y"},
    states.THROUGHPUT: {
        "modelArn": "arn:aws:bedrock:us-east-1:1:custom-model/x/y", "desiredModelArn": "arn:aws:bedrock:us-east-1:1:custom-model/x/y",
        "foundationModelArn": "arn:aws:bedrock:us-east-1::foundation-model/x", "modelUnits": 1, "commitmentDuration": None,
        "commitmentExpirationTime": None,
    },
    engines.KIND: {
        "kind": "embedded", "folder": "/nowhere", "socket": "/nowhere.sock", "owner": "abc", "failure": None, "way": None, "context": None,
        "wantedSince": "2026-11-28T00:00:00+00:00", "wantedAt": "2026-11-28T00:00:00+00:00", "estimatedBytes": 0, "heldBytes": 0,
        "lastUsed": None, "waits": None,
    },
    "something-else": {},
}  # fmt: skip
ODD: list[Any] = [None, 5, -1.5, True, "", "x", [], [1], {}, {"a": None}, {"status": 5}, "\ud800", 10**30]
BROKEN = ["null", "[]", "5", "{", "", "[" * 5000, '{"a": 1} x', "NaN", "\x00", '"text"']
COLUMNS: dict[str, list[Any]] = {"status": ["", "Odd", "InProgress", b"\x00\xff"], "created": ["never", -(2**62), 2**62, 1.5], "updated": ["never"], "version": ["x"], "name": [None]}  # fmt: skip

LISTED = (JOB_KIND.name, "model-invocation-job", "evaluation-job", "custom-model", states.ON_DEMAND, states.THROUGHPUT)
GETS = {
    "get_model_customization_job": "jobIdentifier",
    "get_custom_model": "modelIdentifier",
    "get_custom_model_deployment": "customModelDeploymentIdentifier",
    "get_provisioned_model_throughput": "provisionedModelId",
}
CODES = (None, "ResourceNotFoundException", "InternalServerException")

documents = st.one_of(
    st.tuples(st.just("text"), st.integers(0, len(BROKEN) - 1)),
    st.tuples(st.just("lacks"), st.integers(0, 20)),
    st.tuples(st.just("odd"), st.tuples(st.integers(0, 20), st.sampled_from(ODD))),
    st.just(("whole", None)),
)
damages = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(sorted(ROWS)),
        "document": documents,
        "column": st.none() | st.sampled_from(sorted(COLUMNS)).flatmap(lambda c: st.tuples(st.just(c), st.sampled_from(COLUMNS[c]))),
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("home") / "home") as running:
        yield running


@given(rows=st.lists(damages, min_size=1, max_size=6))
@settings(
    max_examples=settings().max_examples // 4,  # twelve every day
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_damaged_rows_stop_nothing(house: Running, rows: list[dict[str, Any]]) -> None:
    platform = house.platform
    store, bedrock = platform.store, house.client("bedrock")
    with writing(store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM resources")
        for number, row in enumerate(rows):
            _put(connection, row["kind"], f"bad{number}", _document(row["kind"], row["document"]), row["column"])
        for kind in LISTED:
            _put(connection, kind, "good", json.dumps(WHOLE[kind]), None)
    others = {kind: _arn(kind, "good") for kind in LISTED}

    # every list tells of those that are whole
    assert others[JOB_KIND.name] in _values(bedrock.list_model_customization_jobs(), "jobArn")
    assert others["model-invocation-job"] in _values(bedrock.list_model_invocation_jobs(), "jobArn")
    assert others["evaluation-job"] in _values(bedrock.list_evaluation_jobs(), "jobArn")
    assert others["custom-model"] in _values(bedrock.list_custom_models(), "modelArn")
    assert others[states.ON_DEMAND] in _values(bedrock.list_custom_model_deployments(), "customModelDeploymentArn")
    assert others[states.THROUGHPUT] in _values(bedrock.list_provisioned_model_throughputs(), "provisionedModelArn")
    bedrock.list_custom_model_deployments(
        modelArnEquals="arn:aws:bedrock:us-east-1:123456789012:custom-model/outcrop.starter-v1/abcdefghijkl"
    )
    bedrock.get_model_customization_job(jobIdentifier="good")
    # one that is not gives an error of its own, or what can be told of it
    for number in range(len(rows)):
        for operation, member in GETS.items():
            assert _code_of(getattr(bedrock, operation), **{member: f"bad{number}"}) in CODES

    # the loops come round
    asyncio.run(_settle(platform))
    Engines(store, platform.clock, platform.settings).orders()
    sweep = DamageSweep(store)
    sweep.turn(at=platform.clock.now())
    for kind in ROWS:
        assert all(store.resources.get(found.arn) is not None for found in store.resources.all(kind))
    assert sweep.turn(at=platform.clock.now()) == []
    # and what they could do nothing with is Failed
    settled = {row.name: row.status for row in store.resources.all(states.ON_DEMAND)}
    assert settled["good"] == "Failed"  # there is no such model
    assert "Creating" not in settled.values()
    Engines(store, platform.clock, platform.settings).clear()
    bedrock.delete_custom_model(modelIdentifier="good")


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path_factory.mktemp("worker"), threads=1), SystemClock())
    yield opened
    opened.store.close()


@given(rows=st.lists(documents, min_size=1, max_size=4))
@settings(
    max_examples=settings().max_examples // 8,  # six every day
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_a_worker_goes_through_damaged_jobs(context: House, rows: list[Any]) -> None:
    with writing(context.store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM resources")
        for number, row in enumerate(rows):
            _put(connection, JOB_KIND.name, f"bad{number}", _document(JOB_KIND.name, row), None)
    for _ in rows:  # each ends, as Failed, in one go
        Worker(context, [JOB_KIND], stop=_Once()).run_one()
    DamageSweep(context.store).turn(at=context.clock.now())
    ended = context.store.resources.all(JOB_KIND.name)
    assert [row.status for row in ended] == ["Failed"] * len(rows)
    assert all(row.document["failureMessage"] for row in ended)


class _Once(threading.Event):
    """Lets the worker look for a job once."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return super().wait(timeout)


def test_a_damaged_row_is_told_by_name(house: Running) -> None:
    store = house.platform.store
    with writing(store.engine) as connection:
        connection.exec_driver_sql("DELETE FROM resources")
        _put(connection, JOB_KIND.name, "bad", "null", None)
    with pytest.raises(
        Damaged, match=r"model-customization-job/x/bad: its record is damaged and cannot be read\. Delete"
    ):
        house.platform.jobs.find(JOB_KIND, REGION, "bad")
    assert DamageSweep(store).turn(at=house.platform.clock.now()) == [_arn(JOB_KIND.name, "bad")]
    (listed,) = store.resources.all(JOB_KIND.name)
    assert (listed.status, list(listed.document)) == ("Failed", ["failureMessage"])


def _code_of(ask: Callable[..., Any], **asked: str) -> str | None:
    try:
        ask(**asked)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


async def _settle(platform: Any) -> None:
    rooms = platform
    for _ in range(5):
        await rooms.reconciler.turn()
        for _ in range(3):
            await asyncio.gather(*rooms.reconciler._settling.values())
            await asyncio.sleep(0)
    await rooms.reconciler.aclose()


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:bedrock:{REGION}:{ACCOUNT}:{kind}/x/{name}"


def _values(answer: dict[str, Any], member: str) -> list[str]:
    return [entry[member] for each in answer.values() if isinstance(each, list) for entry in each]


def _document(kind: str, change: tuple[str, Any]) -> str:
    how, what = change
    document = dict(WHOLE[kind])
    names = sorted(document) or [""]
    if how == "text":
        return BROKEN[int(what)]
    if how == "lacks":
        document.pop(names[what % len(names)], None)
    if how == "odd":
        document[names[what[0] % len(names)]] = what[1]
    return json.dumps(document)


def _put(connection: Any, kind: str, name: str, document: str, column: tuple[str, Any] | None) -> None:
    values: dict[str, Any] = {
        "arn": _arn(kind, name), "kind": kind, "region": "local" if kind == engines.KIND else REGION, "name": name,
        "status": ROWS[kind], "created": 1_700_000_000_000_000, "updated": 1_700_000_000_000_000, "version": 1,
        "document": document,
    }  # fmt: skip
    if column is not None:
        values[column[0]] = column[1]
    marks = ", ".join("?" * len(values))
    connection.exec_driver_sql(f"INSERT INTO resources ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))
