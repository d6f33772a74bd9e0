"""Who may do what is decided on the resource that is used, over HTTP: its spelling changes nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.api.door.call import Call
from outcrop.api.operations import OPERATIONS
from outcrop.errors import ServiceRefusal
from outcrop.store.resources import Resource
from tests.iam.test_users_and_roles import code_of
from tests.support.policies import policy
from tests.support.servers import Running

ClientOf = Callable[..., Any]
REGION = "us-east-1"


def say(iam: Any, user: str, *statements: str) -> None:
    together = [each for text in statements for each in json.loads(text)["Statement"]]
    document = json.dumps({"Version": "2012-10-17", "Statement": together})
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=document)


def add(server: Running, kind: str, tail: str, name: str) -> str:
    platform = server.platform
    arn = f"arn:aws:bedrock:{REGION}:{platform.account}:{kind}/{tail}"
    now = platform.clock.now()
    if platform.store.resources.get(arn) is None:
        document = {"modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/outcrop.starter-v1"}
        document["desiredModelArn"] = document["modelArn"]
        row = Resource(
            arn=arn,
            kind=kind,
            region=REGION,
            name=name,
            created=now,
            updated=now,
            status="Creating",
            document=document,
        )
        platform.store.resources.add(row)
    return arn


@pytest.mark.parametrize("kind", ["custom-model-deployment", "provisioned-model"])
def test_a_deny_on_a_deployment_holds_for_its_arn_name_and_id(
    iam: Any, user: str, client_of: ClientOf, server: Running, kind: str
) -> None:
    tail, name = f"{kind[:6]}abcdef", f"named-{kind}"
    arn = add(server, kind, tail.replace("-", "0"), name)
    say(iam, user, policy("Allow", "*"), policy("Deny", "bedrock:InvokeModel", arn))
    runtime = client_of(user, "bedrock-runtime")
    message = {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}
    for spelling in (arn, name, arn.rpartition("/")[2]):
        assert code_of(runtime.invoke_model, modelId=spelling, body=b"{}") == "AccessDeniedException"
        assert code_of(runtime.converse, modelId=spelling, **message) == "AccessDeniedException"
    say(iam, user, policy("Allow", "bedrock:InvokeModel", arn))
    for spelling in (arn, name, arn.rpartition("/")[2]):
        assert code_of(runtime.invoke_model, modelId=spelling, body=b"{}") == "ModelNotReadyException"


def test_a_profiles_arn_needs_the_model_too(iam: Any, user: str, client_of: ClientOf, server: Running) -> None:
    model = f"arn:aws:bedrock:{REGION}::foundation-model/outcrop.starter-v1"
    profile = f"arn:aws:bedrock:{REGION}:{server.platform.account}:inference-profile/us.outcrop.starter-v1"
    say(iam, user, policy("Allow", "bedrock:InvokeModel", "*"), policy("Deny", "bedrock:InvokeModel", model))
    runtime = client_of(user, "bedrock-runtime")
    for spelling in ("outcrop.starter-v1", "us.outcrop.starter-v1", profile, model):
        assert code_of(runtime.invoke_model, modelId=spelling, body=b"{}") == "AccessDeniedException"


def test_reranking_needs_the_model_too(iam: Any, user: str, client_of: ClientOf) -> None:
    model = f"arn:aws:bedrock:{REGION}::foundation-model/amazon.rerank-v1:0"
    config = {"modelConfiguration": {"modelArn": model}}
    asked = {
        "queries": [{"type": "TEXT", "textQuery": {"text": "who"}}],
        "sources": [{"type": "INLINE", "inlineDocumentSource": {"type": "TEXT", "textDocument": {"text": "she"}}}],
        "rerankingConfiguration": {"type": "BEDROCK_RERANKING_MODEL", "bedrockRerankingConfiguration": config},
    }
    runtime = client_of(user, "bedrock-agent-runtime")
    for statements in (
        [policy("Allow", "bedrock:Rerank")],
        [policy("Allow", "bedrock:InvokeModel", model)],
        [policy("Allow", "bedrock:*"), policy("Deny", "bedrock:InvokeModel", model)],
    ):
        say(iam, user, *statements)
        assert code_of(runtime.rerank, **asked) == "AccessDeniedException"
    say(iam, user, policy("Allow", "bedrock:Rerank"), policy("Allow", "bedrock:InvokeModel", model))
    assert code_of(runtime.rerank, **asked) == "ValidationException"  # nothing stands behind the id here


def test_a_resource_of_another_region_is_not_found(server: Running) -> None:
    arn = add(server, "custom-model-deployment", "elsewhere123", "here-only")
    elsewhere = server.client("bedrock", region_name="eu-west-1")
    for spelling in (arn, "here-only", "elsewhere123"):
        code = code_of(elsewhere.get_custom_model_deployment, customModelDeploymentIdentifier=spelling)
        assert code == "ResourceNotFoundException"
    here = server.client("bedrock").get_custom_model_deployment(customModelDeploymentIdentifier="here-only")
    assert here["customModelDeploymentArn"] == arn


def test_reading_the_version_null_is_reading_the_object(
    iam: Any, user: str, client_of: ClientOf, server: Running
) -> None:
    server.client("s3").create_bucket(Bucket="null-version")
    server.client("s3").put_object(Bucket="null-version", Key="k", Body=b"x")
    s3 = client_of(user, "s3")
    asked = {"Bucket": "null-version", "Key": "k", "VersionId": "null"}
    say(iam, user, policy("Allow", "s3:*"), policy("Deny", "s3:GetObject", "arn:aws:s3:::null-version/*"))
    assert code_of(s3.get_object, **asked) == "AccessDenied"
    copied = {"Bucket": "null-version", "Key": "c", "CopySource": "/null-version/k?versionId=null"}
    assert code_of(s3.copy_object, **copied) == "AccessDenied"
    say(iam, user, policy("Allow", "s3:GetObject", "arn:aws:s3:::null-version/k"))
    assert s3.get_object(**asked)["Body"].read() == b"x"
    say(iam, user, policy("Allow", "s3:*"), policy("Deny", "s3:GetObjectVersion"))
    assert code_of(s3.get_object, **asked) == "AccessDenied"


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "iam:ResourceTag/team"])
def test_tags_of_users_are_tags_of_the_resource(iam: Any, user: str, client_of: ClientOf, key: str) -> None:
    iam.create_user(UserName=f"{user}-blue", Path="/people/", Tags=[{"Key": "team", "Value": "blue"}])
    iam.create_user(UserName=f"{user}-red", Tags=[{"Key": "team", "Value": "red"}])
    say(iam, user, policy("Allow", "iam:GetUser", "*", StringEquals={key: "blue"}))
    own = client_of(user, "iam")
    assert own.get_user(UserName=f"{user}-blue")["User"]["Path"] == "/people/"
    assert code_of(own.get_user, UserName=f"{user}-red") == "AccessDenied"


def test_a_refusal_of_iam_does_not_tell_whether_a_name_stands_for_somebody(
    iam: Any, user: str, client_of: ClientOf
) -> None:
    iam.create_user(UserName=f"{user}-there", Path="/hidden/")
    own = client_of(user, "iam")
    heard = []
    for name in (f"{user}-there", f"{user}-gone"):
        with pytest.raises(ClientError) as raised:
            own.get_user(UserName=name)
        heard.append(raised.value.response["Error"]["Message"].replace(name, "NAME"))
    assert heard[0] == heard[1]
    assert "on resource: user NAME because" in heard[0]


@pytest.mark.parametrize("operation", ["DeleteUser", "GetUser"])
def test_a_user_who_moved_after_the_decision_is_left_alone(
    server: Running, iam: Any, user: str, operation: str
) -> None:
    """Another request gives the name another path between the decision about it and the work on it."""
    platform = server.platform
    credential = platform.access.secret_for(server.installation.access_key_id)
    assert credential is not None
    call = Call(
        service="iam",
        operation=operation,
        params={"UserName": user},
        caller=credential.caller,
        region=REGION,
        request_id="r",
        headers={},
    )
    platform.access.authorize(call)
    iam.update_user(UserName=user, NewPath="/protected/")
    with pytest.raises(ServiceRefusal) as refused:
        OPERATIONS["iam"][operation](platform, call)
    assert (refused.value.code, refused.value.http_status) == ("ConcurrentModification", 409)
    assert iam.get_user(UserName=user)["User"]["Path"] == "/protected/"
