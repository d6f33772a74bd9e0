"""CBOR: our bytes read by botocore and botocore's by us, and what is no CBOR refused where it stops being so."""

import math
from datetime import UTC, datetime

import pytest
from botocore import parsers
from botocore.awsrequest import HeadersDict
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import Unreadable
from outcrop.protocol import service_model
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import UnknownOperation, route, scope_service
from outcrop.protocol.serialize import serialize, serialize_error
from outcrop.protocol.values import cbor

PATH = "/service/GraniteServiceVersion20100801/operation/PutMetricData"
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.builds(cbor.Moment, st.integers(0, 2**40))
)  # fmt: skip
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@given(values)
def test_what_is_written_is_read_again(value: object) -> None:
    assert cbor.loads(cbor.dumps(value)) == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        cbor.loads(body)
    except Unreadable:
        return  # every other kind of error fails the test


# From RFC 8949, appendix A.
@pytest.mark.parametrize(
    ("encoded", "value"),
    [
        ("1b000000e8d4a51000", 1000000000000),
        ("3bffffffffffffffff", -18446744073709551616),
        ("c249010000000000000000", 18446744073709551616),
        ("f93c00", 1.0),
        ("fa47c35000", 100000.0),
        ("f97c00", math.inf),
        ("f7", None),
        ("c11a514b67b0", cbor.Moment(1363896240)),
        ("64f0908591", "\U00010151"),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
    ],
)
def test_the_examples_of_the_standard(encoded: str, value: object) -> None:
    assert cbor.loads(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        ("9bffffffffffffffff", "ends before 18446744073709551615 items"),
        ("5affffffff00", "bytes too early"),
        ("a1", "ends before 1 items"),
        ("a10102", "the keys of a map are text"),
        ("c001", "tag 0"),
        ("61ff", "not UTF-8"),
        ("1c", "says no length"),
        ("f8ff", "no simple value 24"),
        ("0101", "not one CBOR value"),
        ("81" * 200 + "01", "levels deep"),
        ("7f01ff", "pieces of its own kind"),
        ("82ff01", "missing before the break"),
    ],
)
def test_what_is_no_cbor_is_refused_with_the_reason(encoded: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        cbor.loads(bytes.fromhex(encoded))


def asked(path: str, body: bytes = b"", *, spoken: str = "rpc-v2-cbor") -> HttpRequest:
    headers = {"smithy-protocol": spoken, "content-type": "application/cbor"}
    return HttpRequest(method="POST", raw_path=path, raw_query="", headers=headers, body=body)


def test_a_moment_of_cloudwatch_is_a_tagged_number_of_seconds() -> None:
    at = datetime(2026, 11, 21, 5, 0, tzinfo=UTC)
    datum = {"MetricName": "loss", "Timestamp": cbor.Moment(at.timestamp()), "Value": 2.5}
    request = asked(PATH, cbor.dumps({"Namespace": "Outcrop", "MetricData": [datum]}))
    routed = route(request, scope_service(request))
    read = parse(routed, request)["MetricData"]
    assert read == [{"MetricName": "loss", "Timestamp": at, "Value": 2.5}]


def test_a_value_of_a_wrong_kind_is_named_by_its_path() -> None:
    request = asked(PATH, cbor.dumps({"MetricData": [{"MetricName": 7}]}))
    with pytest.raises(Unreadable, match=r"^MetricData\.1\.MetricName: NUMBER_VALUE can not be converted to a String$"):
        parse(route(request, scope_service(request)), request)


@pytest.mark.parametrize(
    "request_",
    [
        asked("/service/GraniteServiceVersion20100801/operation/Nothing"),
        asked("/service/SageMaker/operation/ListModels"),
        asked("/somewhere"),
        asked(PATH, spoken="rpc-v2-json"),
    ],
)
def test_what_rpc_v2_does_not_know_is_said_in_cbor(request_: HttpRequest) -> None:
    with pytest.raises(UnknownOperation) as raised:
        route(request_, scope_service(request_))
    assert raised.value.protocol == service_model.CBOR


def test_botocore_reads_an_error_by_the_code_that_query_clients_know() -> None:
    response = serialize_error(
        service_model.CBOR,
        service="cloudwatch",
        code="ResourceNotFound",
        message="no such alarm",
        status=404,
        members={},
        request_id="r",
    )
    wire = {"status_code": 404, "headers": HeadersDict(response.headers), "body": response.body}
    parsed = parsers.create_parser(service_model.CBOR).parse(wire, None)
    expected = {
        "Message": "no such alarm",
        "Code": "ResourceNotFound",
        "QueryErrorCode": "ResourceNotFoundException",
        "Type": "Sender",
    }
    error = parsed["Error"]
    # Two errors of CloudWatch share this code; either shape's name is one the client knows.
    assert error.pop("QueryErrorCode") in {"ResourceNotFound", expected.pop("QueryErrorCode")}
    assert error == expected


def test_an_answer_without_members_is_an_empty_body() -> None:
    operation = service_model.operation("cloudwatch", "PutMetricData")
    response = serialize(operation, {}, protocol=service_model.CBOR, request_id="r")
    assert (response.status, response.body) == (200, b"")
    assert response.headers["smithy-protocol"] == "rpc-v2-cbor"
