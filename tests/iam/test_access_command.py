"""`outcrop access`, against a running installation."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.cli.commands import app
from outcrop.cli.failing import CommandFailure, failure
from outcrop.errors import Refusal
from outcrop.settings import PARTS_FILE
from tests.support.policies import policy
from tests.support.servers import Running

Ran = Callable[..., str]


@pytest.fixture
def outcrop(server: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ran:
    """Runs a command against the server and gives what it printed."""
    home = server.platform.settings.home
    (home / PARTS_FILE).write_text(json.dumps({"endpoint": server.endpoint}))
    monkeypatch.setenv("OUTCROP_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str) -> str:
        assert app(list(words), result_action="return_value") == 0
        return capsys.readouterr().out

    return run


def test_a_user_added_with_a_policy_may_do_what_it_says(outcrop: Ran, server: Running) -> None:
    made = json.loads(outcrop("access", "add", "kenji", "--policy", "AmazonS3FullAccess", "--json"))
    assert made["user"] == "kenji"
    assert made["AWS_ENDPOINT_URL"] == server.endpoint
    s3 = server.client(
        "s3",
        aws_access_key_id=made["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=made["AWS_SECRET_ACCESS_KEY"],
    )
    s3.list_buckets()
    [row] = [each for each in json.loads(outcrop("access", "--json")) if each["user"] == "kenji"]
    assert row["access key"] == made["AWS_ACCESS_KEY_ID"]
    assert (row["status"], row["policies"]) == ("Active", "AmazonS3FullAccess")
    assert row["last used (UTC)"].endswith(" s3")


def test_a_person_reads_lines_to_export_and_a_table(outcrop: Ran) -> None:
    said = outcrop("access", "add", "yuki")
    assert said.startswith("yuki may do nothing yet. ")
    assert "\nexport AWS_SECRET_ACCESS_KEY=" in said
    table = outcrop("access")
    assert table.splitlines()[0].split("  ")[0] == "user"
    assert "yuki" in table
    assert "never" in table


def test_keys_and_users_are_removed(outcrop: Ran, iam: Any) -> None:
    first = json.loads(outcrop("access", "add", "mio", "--policy", "AmazonS3FullAccess", "--json"))["AWS_ACCESS_KEY_ID"]
    second = json.loads(outcrop("access", "key", "mio", "--json"))["AWS_ACCESS_KEY_ID"]
    outcrop("access", "remove", "mio", "--key", first)
    assert [each["AccessKeyId"] for each in iam.list_access_keys(UserName="mio")["AccessKeyMetadata"]] == [second]
    iam.create_group(GroupName="Club")
    iam.add_user_to_group(GroupName="Club", UserName="mio")
    outcrop("access", "remove", "mio")
    assert "mio" not in outcrop("access")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "admin"), "User with name admin already exists. (EntityAlreadyExists)"),
        (("key", "nobody"), "The user with name nobody cannot be found. (NoSuchEntity)"),
        (("remove", "nobody"), "The user with name nobody cannot be found. (NoSuchEntity)"),
        (("remove", "admin"), "admin: the administrator of this installation cannot be removed."),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(outcrop: Ran, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises((Refusal, ClientError)) as refusal:
        outcrop("access", *words)
    assert failure(refusal.value) == CommandFailure(sentence=sentence, code=2)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("AmazonBedrokFullAccess", "Did you mean AmazonBedrockFullAccess"),
        ("amazons3fullaccess", "Did you mean AmazonS3FullAccess"),
        ("Bedrock", "Did you mean AmazonBedrock"),
        ("zzzz", "`outcrop access policies` lists all."),
    ],
)
def test_an_unknown_policy_is_told_with_what_may_be_meant(outcrop: Ran, given: str, meant: str) -> None:
    with pytest.raises(Refusal) as refused:
        outcrop("access", "add", "sora", "--policy", given)
    told = str(refused.value)
    assert told.startswith(f"--policy {given}: there is no such policy. {meant}")
    assert told.endswith("`outcrop access policies` lists all.")
    assert len(told) < 250
    assert "sora" not in outcrop("access")


def test_the_policies_that_there_are_can_be_listed(outcrop: Ran, iam: Any) -> None:
    own = iam.create_policy(PolicyName="aa-own", PolicyDocument=policy("Allow", "s3:GetObject"))["Policy"]["Arn"]
    rows = {row["policy"]: row["ARN"] for row in json.loads(outcrop("access", "policies", "--json"))}
    assert rows["AmazonBedrockFullAccess"] == "arn:aws:iam::aws:policy/AmazonBedrockFullAccess"
    assert rows["aa-own"] == own
    assert "AmazonBedrockFullAccess" in outcrop("access", "policies")
