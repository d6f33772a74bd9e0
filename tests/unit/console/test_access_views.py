"""Plain values of access, of the audit, and of what memory costs."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.console.views.access_views import asked_actions, document_text, key_row, verdicts
from outcrop.console.views.memory_view import memory_page
from outcrop.console.views.trail_views import lookup, trail_rows

NOW = datetime(2026, 12, 1, 12, tzinfo=UTC)
ARN = "arn:aws:bedrock:us-east-1:1"


def test_verdicts_tell_what_decided() -> None:
    told = verdicts(
        [
            {"EvalActionName": "s3:Get", "EvalDecision": "allowed", "MatchedStatements": [{"SourcePolicyId": "p"}]},
            {"EvalActionName": "s3:Put", "EvalDecision": "explicitDeny", "MatchedStatements": []},
            {"EvalActionName": "s3:Del", "EvalDecision": "implicitDeny"},
            {
                "EvalActionName": "s3:All",
                "EvalDecision": "implicitDeny",
                "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False},
            },
        ]
    )
    assert [(each.action, each.key, each.is_allowed, each.because) for each in told] == [
        ("s3:Get", "access.allowed", True, ["p"]),
        ("s3:Put", "access.explicitDeny", False, []),
        ("s3:Del", "access.implicitDeny", False, []),
        ("s3:All", "access.by_boundary", False, []),
    ]


def test_actions_documents_and_keys_are_read_as_people_write_them() -> None:
    assert asked_actions(" s3:GetObject,  bedrock:Converse\ns3:GetObject ") == ["s3:GetObject", "bedrock:Converse"]
    assert document_text({"a": "あ"}) == document_text('{"a":"あ"}') == '{\n  "a": "あ"\n}'
    assert document_text("{") == "{"
    told = {"AccessKeyId": "AKIA", "Status": "Active", "CreateDate": NOW - timedelta(hours=1)}
    used = {"LastUsedDate": NOW - timedelta(minutes=2), "ServiceName": "bedrock"}
    assert key_row(told, used, NOW, "en") == ("AKIA", "Active", "1 h ago", "2 min ago · bedrock")
    assert key_row(told, None, NOW, "en").last_used == ""


def event(**more: Any) -> dict[str, Any]:
    """An event as LookupEvents tells it."""
    whole = {
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ann", "userName": "ann"},
        "sourceIPAddress": "127.0.0.1",
        "errorCode": "AccessDenied",
    }
    return {
        "EventId": "e-1",
        "EventName": "DeleteCustomModel",
        "ReadOnly": "false",
        "EventTime": NOW - timedelta(minutes=5),
        "EventSource": "bedrock.amazonaws.com",
        "Username": "ann",
        "Resources": [{"ResourceType": "AWS::Bedrock::CustomModel", "ResourceName": f"{ARN}:custom-model/x/abc"}],
        "CloudTrailEvent": json.dumps(whole),
        **more,
    }


def test_an_event_tells_who_did_what_to_what_from_where_and_how_it_ended() -> None:
    (row,) = trail_rows([event()], NOW, "en")
    assert (row.who, row.service, row.what, row.resources, row.source, row.error, row.reads_only) == (
        "ann", "bedrock", "DeleteCustomModel", ["abc"], "127.0.0.1", "AccessDenied", False,
    )  # fmt: skip
    assert (row.age, row.at) == ("5 min ago", "2026-12-01T11:55:00+00:00")
    assert json.loads(row.whole)["sourceIPAddress"] == "127.0.0.1"


def test_an_event_of_which_little_is_known_has_a_row_too() -> None:
    bare = {"EventId": "e", "EventName": "GetCallerIdentity", "EventTime": NOW}
    no_user = event(
        Username="", CloudTrailEvent=json.dumps({"userIdentity": {"arn": "arn:aws:sts::1:assumed-role/r/me"}})
    )
    rows = trail_rows([bare, event(CloudTrailEvent="no JSON"), no_user], NOW, "ja")
    assert [(row.who, row.source, row.whole == "") for row in rows] == [
        ("", "", True),
        ("ann", "", True),
        ("me", "", False),
    ]


def test_events_are_looked_up_by_one_attribute() -> None:
    assert lookup("Username", " ann ") == [{"AttributeKey": "Username", "AttributeValue": "ann"}]
    assert lookup("EventSource", "bedrock") == [
        {"AttributeKey": "EventSource", "AttributeValue": "bedrock.amazonaws.com"}
    ]
    assert lookup("Username", " ") == lookup("Anything", "x") == []


def deployment(**more: Any) -> dict[str, Any]:
    return {
        "name": "bought",
        "arn": f"{ARN}:provisioned-model/p",
        "status": "InService",
        "modelUnits": 2,
        "inMemory": True,
        "created": (NOW - timedelta(hours=10)).isoformat(),
        "lastUsed": (NOW - timedelta(hours=3)).isoformat(),
        "price": {"amount": 6.0, "currency": "USD", "perHour": 0.6},
        **more,
    }


def told(*deployments: dict[str, Any], **more: Any) -> dict[str, Any]:
    engine = {"name": "starter", "state": "Ready", "heldBytes": 2**30, "lastUsed": NOW.isoformat(), "waits": None}
    return {
        "budgetBytes": 4 * 2**30,
        "heldBytes": 2**30,
        "engines": [engine, engine | {"name": "gone", "state": "Evicted", "heldBytes": 0, "lastUsed": None}],
        "trainings": [{"name": "a job", "heldBytes": 0, "waits": "memory"}],
        "deployments": list(deployments),
        "prices": {"currency": "USD", "perHour": 1.2},
        **more,
    }


def test_what_stays_in_memory_unasked_is_warned_of_with_the_price_of_a_night() -> None:
    page = memory_page(told(deployment()), {f"{ARN}:provisioned-model/p": (12.0, 250.0)}, [], NOW, "en")
    (forgotten,) = page.forgotten
    assert (forgotten.name, forgotten.idle, forgotten.price, forgotten.night) == (
        "bought",
        "3 h",
        "6.00 USD",
        "7.20 USD",
    )
    used = page.used[f"{ARN}:provisioned-model/p"]
    assert (used.requests, used.latency, used.idle_since, used.price) == ("12", "0.25 s", "3 h ago", "6.00 USD")
    assert [(each.name, each.state, each.share) for each in page.engines] == [
        ("starter", "Ready", "25"),
        ("a job", "waiting", "0"),
    ]


def test_nothing_is_warned_of_that_is_asked_holds_nothing_or_is_young() -> None:
    on_demand = deployment(
        modelUnits=None, status="Active", arn="a", price={"amount": 0.0, "currency": "", "perHour": 0.0}
    )
    asked = deployment(lastUsed=(NOW - timedelta(minutes=5)).isoformat())
    young = deployment(lastUsed=None, created=(NOW - timedelta(minutes=5)).isoformat())
    assert memory_page(told(on_demand, asked, young), {}, [], NOW, "en").forgotten == []


def test_an_endpoint_that_nobody_asks_is_warned_of_without_a_price_where_there_is_none() -> None:
    endpoint = {"EndpointName": "e", "EndpointStatus": "InService", "CreationTime": NOW - timedelta(hours=5)}
    page = memory_page(told(), {}, [(endpoint, None), (endpoint, NOW)], NOW, "ja")
    (forgotten,) = page.forgotten
    assert (forgotten.page, forgotten.price, forgotten.night) == ("/sagemaker/endpoints/e", "6.00 USD", "14.40 USD")
    bare = told(prices={"whyNone": "no price list"})
    page = memory_page(bare, {}, [(endpoint, None)], NOW, "en")
    assert (page.forgotten[0].price, page.forgotten[0].night, page.why_no_price) == ("", "", "no price list")
