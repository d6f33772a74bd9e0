"""What the house tells of calls: points, an audit and Prometheus' text, true and without a secret, through crashes too."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sql
from botocore.exceptions import ClientError
from prometheus_client.parser import text_string_to_metric_families

from outcrop.api.door.call import Answer, Answered, Call
from outcrop.api.operations import OPERATIONS
from outcrop.audit.entry import Entry
from outcrop.clock import SystemClock
from outcrop.deployments import parity_reports
from outcrop.deployments.model_units import MeasuredRate
from outcrop.deployments.parity import Parity
from outcrop.deployments.states import ON_DEMAND
from outcrop.errors import NotReady
from outcrop.house import House
from outcrop.metrics.traffic import Ended, InvocationCount
from tests.support.databases import kept_bytes, sqlite_only
from tests.support.patience import eventually
from tests.support.servers import Running, running_server, server_process, signed_for_outcrop

STARTER = "outcrop.starter-v1"
PROMPT = "a prompt that nobody else should read"
BODY = b"the content of an object"


def invoke_model(_: House, call: Call) -> Answered:
    if call.params["body"] == b"too early":
        raise NotReady("Model is not ready for inference. Wait and try your request again.")
    call.usage.count(7, 5)
    return Answer({"body": b"{}", "contentType": "application/json"})


TABLES = {**OPERATIONS, "bedrock-runtime": {"InvokeModel": invoke_model}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home", TABLES) as running:
        yield running


def entries(house: Running, **asked: Any) -> list[Entry]:
    house.write()
    return [each.entry for each in house.platform.audit.entries(**asked)]


def sums(house: Running, namespace: str, **dimensions: str) -> dict[str, float]:
    """Every metric with these dimensions, summed up over today."""
    house.write()
    now, points = datetime.now(UTC), house.platform.points
    found = {}
    for each in points.series(namespace=namespace):
        if dict(each.dimensions) == dimensions:
            (day,) = points.statistics(
                ["Sum"],
                namespace=namespace,
                metric=each.metric,
                dimensions=dimensions,
                since=now - timedelta(days=1),
                until=now + timedelta(days=1),
                period_s=10 * 365 * 86400,
            )
            found[each.metric] = day.values["Sum"]
    return found


def code_of(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_a_change_is_an_entry_with_who_what_on_which_and_from_where(house: Running) -> None:
    made = house.client("iam").create_user(UserName="jane", Path="/people/")
    (entry,) = entries(house, operation="CreateUser")
    administrator = house.platform.access.secret_for(house.installation.access_key_id)
    assert administrator is not None
    assert (entry.service, entry.status, entry.code) == ("iam", 200, "")
    assert (entry.caller, entry.key_id) == (administrator.caller.arn, house.installation.access_key_id)
    assert entry.resources == (made["User"]["Arn"],)
    assert entry.source_ip == "127.0.0.1"
    assert entry.user_agent.startswith("Boto3/")
    assert entry.request_id == made["ResponseMetadata"]["RequestId"]
    assert not entry.read_only


def test_a_session_is_told_with_its_name_and_the_role_that_it_took_on(house: Running) -> None:
    role = house.installation.service_role_arn
    sts = house.client("sts")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
    house.client("iam").update_assume_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyDocument=json.dumps(trust))
    given = sts.assume_role(RoleArn=role, RoleSessionName="night-shift")["Credentials"]
    session = house.client(
        "sts",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    session.get_caller_identity()
    (taken_on,) = entries(house, operation="AssumeRole")
    assert role in taken_on.resources
    (asked,) = entries(house, operation="GetCallerIdentity")
    assert (asked.session, asked.key_id) == ("night-shift", given["AccessKeyId"])
    assert asked.caller.endswith("/night-shift")
    kept = read_database(house)
    assert given["SessionToken"].encode() not in kept
    assert given["SecretAccessKey"].encode() not in kept


def test_refused_calls_are_entries_too(house: Running) -> None:
    iam = house.client("iam")
    iam.create_user(UserName="guest")
    key = iam.create_access_key(UserName="guest")["AccessKey"]
    guest = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    with pytest.raises(ClientError) as raised:
        house.client("bedrock", **guest).delete_custom_model(modelIdentifier="sonnets")
    assert code_of(raised) == "AccessDeniedException"
    with pytest.raises(ClientError) as raised:
        house.client("bedrock", **{**guest, "aws_secret_access_key": "wrong"}).list_custom_models()
    assert code_of(raised) == "InvalidSignatureException"
    with pytest.raises(ClientError) as raised:
        house.client("bedrock").get_custom_model(modelIdentifier="sonnets")
    assert code_of(raised) == "ResourceNotFoundException"
    (denied,) = entries(house, operation="DeleteCustomModel")
    assert (denied.code, denied.status) == ("AccessDeniedException", 403)
    assert denied.caller.endswith(":user/guest")
    assert denied.resources == (f"arn:aws:bedrock:us-east-1:{house.platform.account}:custom-model/sonnets",)
    (unproven,) = entries(house, operation="ListCustomModels")
    assert (unproven.code, unproven.caller, unproven.key_id) == ("InvalidSignatureException", "", key["AccessKeyId"])
    (absent,) = entries(house, operation="GetCustomModel")
    assert (absent.code, absent.read_only) == ("ResourceNotFoundException", True)
    assert entries(house, resource=denied.resources[0]) == [absent, denied]
    assert key["SecretAccessKey"].encode() not in read_database(house)


def test_calls_about_objects_are_counted_and_only_refused_ones_are_entries(house: Running) -> None:
    s3 = house.client("s3")
    s3.create_bucket(Bucket="quiet")
    s3.put_object(Bucket="quiet", Key="k", Body=BODY)
    s3.get_object(Bucket="quiet", Key="k")["Body"].read()
    assert httpx.get(f"{house.endpoint}/quiet/k").status_code == 403
    (bucket,) = entries(house, operation="CreateBucket")
    assert bucket.resources == ("arn:aws:s3:::quiet",)
    assert entries(house, operation="PutObject") == []
    assert [each.status for each in entries(house, operation="GetObject")] == [403]
    assert sums(house, "Outcrop/Door", Service="s3", Operation="PutObject")["Requests"] == 1
    told = sums(house, "Outcrop/Door", Service="s3", Operation="GetObject")
    assert (told["Requests"], told["ClientErrors"]) == (2, 1)
    assert BODY.decode() not in read_records(house)


def test_calls_about_objects_are_entries_where_they_are_wanted(tmp_path: Path) -> None:
    with running_server(tmp_path, data_events=True) as house:
        s3 = house.client("s3")
        s3.create_bucket(Bucket="loud")
        s3.put_object(Bucket="loud", Key="k", Body=BODY)
        (put,) = entries(house, operation="PutObject")
        assert (put.resources, put.data) == (("arn:aws:s3:::loud/k",), True)
        assert BODY.decode() not in read_records(house)


def test_invocations_are_points_of_cloudwatchs_names_and_entries_without_a_prompt(house: Running) -> None:
    runtime = house.client("bedrock-runtime")
    for _ in range(3):
        runtime.invoke_model(modelId=STARTER, body=json.dumps({"prompt": PROMPT}))
    with pytest.raises(ClientError):
        runtime.invoke_model(modelId=STARTER, body="too early")
    runtime.invoke_model(modelId="nobody.has-this", body=PROMPT)  # as if: names without a model are no dimension
    told = sums(house, "AWS/Bedrock", ModelId=STARTER)
    latency = told.pop("InvocationLatency")
    assert latency > 0
    assert told == {"Invocations": 3, "InvocationClientErrors": 1, "InputTokenCount": 21, "OutputTokenCount": 15}
    assert sums(house, "AWS/Bedrock") == {**told, "InvocationLatency": latency}
    invoked = entries(house, operation="InvokeModel")
    assert sum(each.times for each in invoked) >= 4
    models = ("nobody.has-this", STARTER)
    assert sorted({each.resources[0] for each in invoked}) == [
        f"arn:aws:bedrock:us-east-1::foundation-model/{model}" for model in models
    ]
    assert PROMPT.encode() not in read_database(house)


def test_nothing_of_a_proof_is_kept(house: Running) -> None:
    house.client("sts").get_caller_identity()
    url = house.client("s3").generate_presigned_url("get_object", Params={"Bucket": "quiet", "Key": "k"})
    httpx.get(url)
    house.write()
    kept = read_database(house)
    assert house.installation.access_key_id.encode() in kept
    assert house.installation.secret_access_key.encode() not in kept
    assert b"AWS4-HMAC-SHA256" not in kept
    assert url.rpartition("Signature=")[2].partition("&")[0].encode() not in kept


def read_database(house: Running) -> bytes:
    house.write()
    return kept_bytes(house.settings)


def read_records(house: Running) -> str:
    """What both rooms hold; the database has small objects in it too."""
    house.write()
    with house.platform.store.engine.connect() as connection:
        tables = ("audit_entries", "audit_resources", "metric_series", "metric_points")
        return str([connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables])


@sqlite_only  # whose file is kept from growing
def test_a_record_that_cannot_be_written_costs_no_request(tmp_path: Path) -> None:
    with running_server(tmp_path) as house:
        s3 = house.client("s3")
        s3.create_bucket(Bucket="kept")
        house.write()
        engine = house.platform.store.engine

        def full(connection: Any, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")

        sql.event.listen(engine, "connect", full)
        engine.dispose()
        (entry,) = entries(house, operation="CreateBucket")
        for _ in range(2000):  # more than its last pages take
            house.platform.audit.record(entry)
        s3.get_bucket_location(Bucket="kept")
        house.write()
        assert house.platform.audit.waiting == 2001
        s3.get_bucket_location(Bucket="kept")
        sql.event.remove(engine, "connect", full)
        engine.dispose()
        house.write()
        assert (house.platform.audit.waiting, house.platform.audit.verify().broken) == (0, None)
        assert len(house.platform.audit.entries(operation="GetBucketLocation")) == 2
        assert sums(house, "Outcrop/Door", Service="s3", Operation="GetBucketLocation")["Requests"] == 2


def test_a_change_that_cannot_be_recorded_is_not_said_to_have_succeeded(
    house: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise sql.exc.OperationalError("INSERT", {}, Exception("disk I/O error"))

    iam = house.client("iam")
    with monkeypatch.context() as patched:
        patched.setattr("outcrop.audit.records.AuditRecords.append", fails)
        with pytest.raises(ClientError, match="the record of calls cannot be written") as raised:
            iam.create_user(UserName="unrecorded")
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
        assert iam.get_user(UserName="unrecorded")["User"]["UserName"] == "unrecorded"  # reads are answered
    arn = f"arn:aws:iam::{house.platform.account}:user/unrecorded"
    found = entries(house, resource=arn)
    assert [entry.operation for entry in found] == ["GetUser", "CreateUser"]
    iam.create_user(UserName="recorded-again")


def test_a_killed_server_has_kept_what_it_told_and_another_goes_on_with_it(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server, House.open(server.settings, SystemClock()) as beside:
        server.client("s3").create_bucket(Bucket="first")
        (made,) = eventually(partial(beside.audit.entries, resource="arn:aws:s3:::first"))
        operation = {"Operation": "CreateBucket"}
        eventually(partial(beside.points.series, metric="Requests", dimensions=operation))
        server.kill()
        beside.audit.record(made.entry)
        beside.audit.flush()
        assert len(beside.audit.entries(resource="arn:aws:s3:::first")) == 2
        assert beside.audit.verify().broken is None


def metrics(house: Running, **headers: str) -> httpx.Response:
    return httpx.get(f"{house.endpoint}/metrics", headers=headers)


def test_metrics_are_shown_to_those_who_may_see_them(house: Running) -> None:
    url, iam = f"{house.endpoint}/metrics", house.client("iam")
    admin = house.installation
    assert metrics(house).status_code == 403
    assert "Sign the request for the service outcrop" in metrics(house).text
    assert metrics(house, **signed_for_outcrop(url, admin.access_key_id, "wrong")).status_code == 403
    iam.create_user(UserName="scraper")
    given = iam.create_service_specific_credential(UserName="scraper", ServiceName="bedrock.amazonaws.com")
    key = given["ServiceSpecificCredential"]["ServiceCredentialSecret"]
    bearer = {"Authorization": f"Bearer {key}"}
    assert "is not authorized to perform: bedrock:CallWithBearerToken" in metrics(house, **bearer).text
    actions = ["outcrop:GetMetrics", "bedrock:CallWithBearerToken"]
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="scraper", PolicyName="metrics", PolicyDocument=document)
    assert metrics(house, **bearer).status_code == 200
    assert metrics(house, Authorization="Bearer wrong").status_code == 403
    shown = metrics(house, **signed_for_outcrop(url, admin.access_key_id, admin.secret_access_key))
    assert shown.headers["content-type"].startswith("text/plain; version=")


def test_metrics_tell_what_happened(house: Running) -> None:
    now = house.platform.clock.now()
    house.platform.units.write(
        MeasuredRate(network=STARTER, tokens_per_minute=20_000.0, measured=now, num_streams=8, seconds=2.0)
    )
    house.client("bedrock-runtime").invoke_model(modelId=STARTER, body="{}")
    with pytest.raises(ClientError):
        house.client("bedrock").get_custom_model(modelIdentifier="nothing")
    admin = house.installation
    signed = signed_for_outcrop(f"{house.endpoint}/metrics", admin.access_key_id, admin.secret_access_key)
    text = metrics(house, **signed).text
    found = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }

    def value(name: str, **labels: str) -> float:
        return found[name, tuple(sorted(labels.items()))]

    refused = {"service": "bedrock", "operation": "GetCustomModel", "status": "404"}
    assert value("outcrop_requests_total", **refused) >= 1
    invoked = {"service": "bedrock-runtime", "operation": "InvokeModel"}
    number = value("outcrop_request_seconds_count", **invoked)
    assert number >= 1
    assert value("outcrop_request_seconds_bucket", **invoked, le="+Inf") == number
    assert value("outcrop_tokens_total", model=STARTER, direction="input") >= 7
    assert value("outcrop_part_resident_bytes", part="server") > 1e6
    assert value("outcrop_disk_free_bytes") > 0
    assert value("outcrop_database_bytes") > 0
    assert value("outcrop_left_out_total", record="audit") == 0
    assert value("outcrop_model_unit_tokens_per_minute", network=STARTER) == 5000


def report(house: Running, query: str, key_id: str, secret: str) -> httpx.Response:
    url = f"{house.endpoint}/outcrop/parity{query}"
    return httpx.get(url, headers=signed_for_outcrop(url, key_id, secret))


def test_the_parity_report_of_a_deployment_is_shown_to_those_who_may_see_it(house: Running) -> None:
    deployments, admin = house.platform.deployments, house.installation
    key = admin.access_key_id, admin.secret_access_key
    model_arn = f"arn:aws:bedrock:us-east-1:{house.platform.account}:custom-model/{STARTER}:0:2k/abcdefghijkl"
    row = deployments.create(
        ON_DEMAND,
        name="compared",
        region="us-east-1",
        account=house.platform.account,
        model_arn=model_arn,
        details={},
    )
    measured = Parity(num_tokens=7, largest_difference=0.25, largest_mean=0.125, tolerance=1.0)
    deployments.note(row, parity_reports.to_document(measured, model_arn))
    shown = report(house, f"?deployment={quote(row.arn, safe='')}", *key)
    assert shown.status_code == 200, shown.text
    told = shown.json()
    assert (told["name"], told["tokens"], told["largestDifference"], told["failure"]) == ("compared", 7, 0.25, None)
    assert report(house, "", *key).status_code == 400
    assert report(house, "?deployment=nothing", *key).status_code == 404
    assert report(house, f"?deployment={quote(row.arn, safe='')}", admin.access_key_id, "wrong").status_code == 403
    iam = house.client("iam")
    iam.create_user(UserName="reader")
    made = iam.create_access_key(UserName="reader")["AccessKey"]
    own = made["AccessKeyId"], made["SecretAccessKey"]
    refused = report(house, f"?deployment={quote(row.arn, safe='')}", *own)
    assert refused.status_code == 403
    assert f"is not authorized to perform: outcrop:GetParity on resource: {row.arn}" in refused.text
    statement = {"Effect": "Allow", "Action": "outcrop:GetParity", "Resource": row.arn}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="reader", PolicyName="reports", PolicyDocument=document)
    assert report(house, f"?deployment={quote(row.arn, safe='')}", *own).status_code == 200


def test_memory_use_and_prices_are_told_to_those_who_may_know(house: Running) -> None:
    admin, url = house.installation, f"{house.endpoint}/outcrop/memory"
    row = house.platform.deployments.create(
        ON_DEMAND,
        name="paid",
        region="us-east-1",
        account=house.platform.account,
        model_arn=f"arn:aws:bedrock:us-east-1::foundation-model/{STARTER}",
        details={},
    )
    traffic, points = house.platform.traffic, house.platform.points
    traffic.note(
        Ended("bedrock-runtime", "Converse", 200),
        1.0,
        datetime.now(UTC),
        InvocationCount(row.arn, "Invocations", 1800.0, 2000, 500),
    )
    traffic.pass_on(points)
    points.flush()

    def told() -> dict[str, Any]:
        answer = httpx.get(url, headers=signed_for_outcrop(url, admin.access_key_id, admin.secret_access_key))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert told()["prices"] == {"whyNone": "no price list: write prices.toml into the home to have one"}
    prices = house.settings.home / "prices.toml"
    prices.write_text('currency = "EUR"\n["*"]\nper_hour = 2\nper_1000_input_tokens = 1\nper_1000_output_tokens = 10\n')
    try:
        report = told()
        assert report["prices"] == {"currency": "EUR", "perHour": 2.0}
        (paid,) = [each for each in report["deployments"] if each["arn"] == row.arn]
        # 2,000 tokens read at 1 a thousand, 500 written at 10, and 1.8 s at 2 an hour
        assert paid["price"] == {"currency": "EUR", "amount": pytest.approx(2 + 5 + 0.001), "perHour": 0.0}
        assert (paid["base"], paid["inMemory"]) == (STARTER, False)
        assert report["budgetBytes"] > 0
    finally:
        prices.unlink()
    assert httpx.get(url).status_code == 403
    iam = house.client("iam")
    iam.create_user(UserName="curious")
    made = iam.create_access_key(UserName="curious")["AccessKey"]
    refused = httpx.get(url, headers=signed_for_outcrop(url, made["AccessKeyId"], made["SecretAccessKey"]))
    assert (refused.status_code, "outcrop:GetMemory" in refused.text) == (403, True)


def test_weights_are_asked_for_by_a_tag_that_says_what_they_can_be(house: Running) -> None:
    params = {"provisionedModelName": "small", "modelId": f"{STARTER}:0:2k", "modelUnits": 1}
    tags = [{"key": "outcrop:weights", "value": "int4"}]
    with pytest.raises(ClientError, match="tags: outcrop:weights is 'int4'; it can be fp32 or int8"):
        house.client("bedrock").create_provisioned_model_throughput(**params, tags=tags)
