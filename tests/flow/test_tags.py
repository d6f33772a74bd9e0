"""Tags of everything in Bedrock and IAM that has them: fifty at most, no key twice, none of AWS's own, gone with it.

S3 says the same of its buckets and objects in words of its own; see test_s3.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.api.iam.absent import ALWAYS_ABSENT
from outcrop.api.operations import OPERATIONS
from outcrop.store.resources import Resource
from tests.flow.test_client_tokens import batch_job, job
from tests.support.listings.bedrock import FOUNDATIONS, START
from tests.support.listings.listing import client_of
from tests.support.policies import policy, trusting
from tests.support.servers import Running, running_server

MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/outcrop.starter-v1:0:2k/taggedtagged"
Tags = list[dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A kind of thing with tags, and how it is made with some, deleted, and tagged."""

    kind: str
    make: Callable[[Running, str, Tags], str]
    "Makes it under a name, with tags; returns what the operations below ask for it by."
    delete: Callable[[Running, str], Any] | None
    "None: what is kept for ever."
    too_many: tuple[str, str]
    "The codes for a list beyond the shape's, and for one tag more than there may be."
    wrong: str
    "The code for a key that may not be."
    service: str = "bedrock"
    word: str = ""
    "In the names of IAM's operations."
    by: str = "resourceARN"

    def client(self, house: Running) -> Any:
        return client_of(house, self.service)

    def tag(self, house: Running, thing: str, tags: Tags) -> None:
        if self.service == "bedrock":
            self.client(house).tag_resource(resourceARN=thing, tags=lowered(tags))
        else:
            getattr(self.client(house), f"tag_{self.word}")(**{self.by: thing, "Tags": tags})

    def untag(self, house: Running, thing: str, keys: list[str]) -> None:
        if self.service == "bedrock":
            self.client(house).untag_resource(resourceARN=thing, tagKeys=keys)
        else:
            getattr(self.client(house), f"untag_{self.word}")(**{self.by: thing, "TagKeys": keys})

    def tags(self, house: Running, thing: str) -> dict[str, str]:
        if self.service == "bedrock":
            found = self.client(house).list_tags_for_resource(resourceARN=thing)["tags"]
            return {tag["key"]: tag["value"] for tag in found}
        found = getattr(self.client(house), f"list_{self.word}_tags")(**{self.by: thing})["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}


def lowered(tags: Tags) -> Tags:
    """The tags with their members in lower case, as Bedrock writes them."""
    return [{"key": tag["Key"], "value": tag["Value"]} for tag in tags]


def numbered(first: int, last: int) -> Tags:
    return [{"Key": f"key-{number:02}", "Value": str(number)} for number in range(first, last)]


def make_job(house: Running, name: str, tags: Tags) -> str:
    made = client_of(house, "bedrock").create_model_customization_job(**job(house, name), jobTags=lowered(tags))
    return str(made["jobArn"])


def make_batch_job(house: Running, name: str, tags: Tags) -> str:
    asked = client_of(house, "bedrock").create_model_invocation_job(**batch_job(house, name), tags=lowered(tags))
    return str(asked["jobArn"])


def make_deployment(house: Running, name: str, tags: Tags) -> str:
    made = client_of(house, "bedrock").create_custom_model_deployment(
        modelDeploymentName=name, modelArn=MODEL, tags=lowered(tags)
    )
    return str(made["customModelDeploymentArn"])


def make_throughput(house: Running, name: str, tags: Tags) -> str:
    made = client_of(house, "bedrock").create_provisioned_model_throughput(
        provisionedModelName=name, modelId="outcrop.starter-v1", modelUnits=1, tags=lowered(tags)
    )
    return str(made["provisionedModelArn"])


def make_user(house: Running, name: str, tags: Tags) -> str:
    client_of(house, "iam").create_user(UserName=name, Tags=tags)
    return name


def make_role(house: Running, name: str, tags: Tags) -> str:
    trust = trusting({"Service": "bedrock.amazonaws.com"})
    client_of(house, "iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=tags)
    return name


def make_policy(house: Running, name: str, tags: Tags) -> str:
    document = policy("Allow", "s3:GetObject")
    return str(
        client_of(house, "iam").create_policy(PolicyName=name, PolicyDocument=document, Tags=tags)["Policy"]["Arn"]
    )


BEDROCK: dict[str, Any] = {
    "too_many": ("ValidationException", "TooManyTagsException"),
    "wrong": "ValidationException",
}
IAM: dict[str, Any] = {"service": "iam", "too_many": ("ValidationError", "LimitExceeded"), "wrong": "InvalidInput"}
KINDS = [
    Tagged(kind="job", make=make_job, delete=None, **BEDROCK),
    Tagged(kind="batch-job", make=make_batch_job, delete=None, **BEDROCK),
    Tagged(
        kind="deployment",
        make=make_deployment,
        delete=lambda house, thing: client_of(house, "bedrock").delete_custom_model_deployment(
            customModelDeploymentIdentifier=thing
        ),
        **BEDROCK,
    ),
    Tagged(
        kind="throughput",
        make=make_throughput,
        delete=lambda house, thing: client_of(house, "bedrock").delete_provisioned_model_throughput(
            provisionedModelId=thing
        ),
        **BEDROCK,
    ),
    Tagged(
        kind="user",
        make=make_user,
        delete=lambda house, thing: client_of(house, "iam").delete_user(UserName=thing),
        word="user",
        by="UserName",
        **IAM,
    ),
    Tagged(
        kind="role",
        make=make_role,
        delete=lambda house, thing: client_of(house, "iam").delete_role(RoleName=thing),
        word="role",
        by="RoleName",
        **IAM,
    ),
    Tagged(
        kind="policy",
        make=make_policy,
        delete=lambda house, thing: client_of(house, "iam").delete_policy(PolicyArn=thing),
        word="policy",
        by="PolicyArn",
        **IAM,
    ),
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("tags") / "home") as running:
        running.platform.settings = replace(running.platform.settings, model_units=100)
        running.client("s3").create_bucket(Bucket="data")
        running.client("s3").put_object(Bucket="data", Key="train.jsonl", Body=b'{"prompt": "a", "completion": "b"}\n')
        add_model(running)
        yield running


def add_model(house: Running) -> None:
    model = Resource(
        arn=MODEL,
        kind="custom-model",
        region="us-east-1",
        name="tagged",
        status="Active",
        created=START,
        updated=START,
        document={"baseId": "outcrop.starter-v1", "foundationModelArn": FOUNDATIONS[0]},
    )
    house.platform.store.resources.add(model)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.kind)
def kind(request: pytest.FixtureRequest) -> Tagged:
    made: Tagged = request.param
    return made


def code_of(act: Callable[..., Any], *arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        act(*arguments)
    return str(refused.value.response["Error"]["Code"])


def test_every_operation_on_tags_is_tried_here() -> None:
    built = {name for service in ("bedrock", "iam") for name in OPERATIONS[service] if "tag" in name.lower()}
    # What nobody can make here has no tags; tests/iam/test_absent.py asks each of its operations.
    built -= ALWAYS_ABSENT
    words = [kind.word.capitalize() for kind in KINDS if kind.word]
    iam = {f"{verb}{word}{end}" for word in words for verb, end in (("Tag", ""), ("Untag", ""), ("List", "Tags"))}
    assert built == {"TagResource", "UntagResource", "ListTagsForResource"} | iam


def test_tags_of_the_creation_are_changed_and_taken_away(house: Running, kind: Tagged) -> None:
    thing = kind.make(house, f"changing-{kind.kind}", [{"Key": "team", "Value": "a"}, {"Key": "cost", "Value": ""}])
    kind.tag(house, thing, [{"Key": "team", "Value": "b"}])
    kind.untag(house, thing, ["cost", "never-there"])
    assert kind.tags(house, thing) == {"team": "b"}


def test_fifty_and_no_more(house: Running, kind: Tagged) -> None:
    thing = kind.make(house, f"full-{kind.kind}", numbered(0, 50))
    kind.tag(house, thing, [{"Key": "key-00", "Value": "changed"}])
    assert code_of(kind.tag, house, thing, numbered(50, 51)) == kind.too_many[1]
    assert len(kind.tags(house, thing)) == 50
    assert code_of(kind.tag, house, thing, numbered(0, 201)) == kind.too_many[0]


def test_a_creation_with_too_many_makes_nothing(house: Running, kind: Tagged) -> None:
    name = f"overfull-{kind.kind}"
    assert code_of(kind.make, house, name, numbered(0, 51)) in kind.too_many
    kind.make(house, name, [])  # the name is free


@pytest.mark.parametrize(
    "tags",
    [
        [{"Key": "aws:own", "Value": ""}],
        [{"Key": "AWS:own", "Value": ""}],
        [{"Key": "twice", "Value": "a"}, {"Key": "twice", "Value": "b"}],
    ],
    ids=["aws", "upper", "twice"],
)
def test_a_key_that_may_not_be_is_refused(
    house: Running, kind: Tagged, tags: Tags, request: pytest.FixtureRequest
) -> None:
    name = f"wrong-{request.node.callspec.id}"
    assert code_of(kind.make, house, name, tags) == kind.wrong
    thing = kind.make(house, name, [])
    assert code_of(kind.tag, house, thing, tags) == kind.wrong
    assert kind.tags(house, thing) == {}


@pytest.mark.parametrize(("key", "value"), [("k" * 129, ""), ("", ""), ("k", "v" * 257)], ids=["129", "none", "257"])
def test_lengths_have_limits(house: Running, kind: Tagged, key: str, value: str) -> None:
    thing = kind.make(house, f"long-{kind.kind}-{len(key)}-{len(value)}", [{"Key": "k" * 128, "Value": "v" * 256}])
    assert code_of(kind.tag, house, thing, [{"Key": key, "Value": value}]) == kind.too_many[0]
    assert kind.tags(house, thing) == {"k" * 128: "v" * 256}


def test_tags_go_with_what_they_are_on(house: Running, kind: Tagged) -> None:
    if kind.delete is None:
        return
    name = f"going-{kind.kind}"
    thing = kind.make(house, name, numbered(0, 2))
    kind.delete(house, thing)
    assert code_of(kind.tags, house, thing) in ("ResourceNotFoundException", "NoSuchEntity")
    assert house.platform.store.tags.get(thing) == {}
    assert kind.tags(house, kind.make(house, name, [])) == {}


def test_tags_of_a_custom_model_go_with_it(house: Running) -> None:
    bedrock = client_of(house, "bedrock")
    model = Resource(
        arn=MODEL.replace("taggedtagged", "deleteddelet"),
        kind="custom-model",
        region="us-east-1",
        name="deleted",
        created=START,
        updated=START,
        document={},
    )
    house.platform.store.resources.add(model)
    bedrock.tag_resource(resourceARN=model.arn, tags=[{"key": "team", "value": "a"}])
    bedrock.delete_custom_model(modelIdentifier=model.arn)
    assert house.platform.store.tags.get(model.arn) == {}


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        (numbered(0, 51), "TooManyTagsException"),
        ([{"Key": "aws:own", "Value": ""}], "ValidationException"),
        ([{"Key": "twice", "Value": "a"}, {"Key": "twice", "Value": "a"}], "ValidationException"),
    ],
    ids=["51", "aws:", "twice"],
)
def test_tags_for_the_model_are_judged_before_the_job_runs(house: Running, tags: Tags, code: str) -> None:
    asked = job(house, "model-tags") | {"customModelTags": lowered(tags)}
    assert code_of(lambda: client_of(house, "bedrock").create_model_customization_job(**asked)) == code
    assert house.platform.store.resources.find("model-customization-job", "us-east-1", "model-tags") is None
