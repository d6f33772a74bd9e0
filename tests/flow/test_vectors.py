"""S3 Vectors as boto3 sees it: buckets, indexes, vectors, queries, policies, and what a killed server has kept."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from outcrop.clock import SystemClock
from outcrop.errors import NotFound
from outcrop.house import House
from outcrop.vectors.opened import OpenIndexes
from tests.iam.test_named_resources import say
from tests.support.policies import policy, trusting
from tests.support.servers import Running, running_server, server_process

SONGS: list[dict[str, Any]] = [
    {"key": "so-what", "data": {"float32": [1.0, 0.0]}, "metadata": {"genre": "jazz", "year": 1959, "text": "trumpet"}},
    {"key": "blue", "data": {"float32": [1.0, 1.0]}, "metadata": {"genre": ["folk", "live"], "year": 1971}},
    {"key": "kashmir", "data": {"float32": [0.0, 3.0]}, "metadata": {"genre": "rock", "year": 1975}},
    {"key": "silence", "data": {"float32": [-1.0, 0.0]}},
]
INDEX: dict[str, Any] = {"dataType": "float32", "dimension": 2, "distanceMetric": "cosine"}
_numbers = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("vectors") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Running) -> Any:
    return server.client("s3vectors")


@pytest.fixture
def bucket(client: Any) -> str:
    """The name of a new vector bucket."""
    name = f"bucket-{next(_numbers)}"
    client.create_vector_bucket(vectorBucketName=name)
    return name


@pytest.fixture
def songs(client: Any, bucket: str) -> str:
    """The ARN of an index with four songs."""
    keys = {"nonFilterableMetadataKeys": ["text"]}
    made = client.create_index(vectorBucketName=bucket, indexName="songs", **INDEX, metadataConfiguration=keys)
    client.put_vectors(indexArn=made["indexArn"], vectors=SONGS)
    arn: str = made["indexArn"]
    return arn


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def keys_of(answer: dict[str, Any]) -> list[str]:
    return [vector["key"] for vector in answer["vectors"]]


def test_a_bucket_and_its_indexes_are_made_told_and_deleted(server: Running, client: Any) -> None:
    account = server.platform.account
    arn = client.create_vector_bucket(vectorBucketName="my-vectors", tags={"team": "books"})["vectorBucketArn"]
    assert arn == f"arn:aws:s3vectors:us-east-1:{account}:bucket/my-vectors"
    told = client.get_vector_bucket(vectorBucketArn=arn)["vectorBucket"]
    assert (told["vectorBucketName"], told["vectorBucketArn"]) == ("my-vectors", arn)
    assert client.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "books"}

    made = client.create_index(vectorBucketArn=arn, indexName="my.index", **INDEX, tags={"a": "b"})["indexArn"]
    assert made == f"{arn}/index/my.index"
    index = client.get_index(vectorBucketName="my-vectors", indexName="my.index")["index"]
    assert index.pop("creationTime") >= told["creationTime"]
    assert index == {"vectorBucketName": "my-vectors", "indexName": "my.index", "indexArn": made, **INDEX}
    assert client.list_tags_for_resource(resourceArn=made)["tags"] == {"a": "b"}

    assert refusal(client.create_vector_bucket, vectorBucketName="my-vectors")[:2] == ("ConflictException", 409)
    again = refusal(client.create_index, vectorBucketName="my-vectors", indexName="my.index", **INDEX)
    assert again == ("ConflictException", 409, "An index with the specified name already exists")
    assert refusal(client.delete_vector_bucket, vectorBucketArn=arn) == (
        "ConflictException", 409,
        "The vector bucket my-vectors is not empty: delete its indexes first (ListIndexes, DeleteIndex).",
    )  # fmt: skip

    client.delete_index(indexArn=made)
    client.delete_vector_bucket(vectorBucketName="my-vectors")
    assert refusal(client.get_index, indexArn=made)[:2] == ("NotFoundException", 404)
    assert refusal(client.get_vector_bucket, vectorBucketArn=arn)[:2] == ("NotFoundException", 404)
    assert refusal(client.list_tags_for_resource, resourceArn=arn)[:2] == ("NotFoundException", 404)
    with pytest.raises(client.exceptions.NotFoundException):
        client.delete_index(indexArn=made)


def test_a_query_tells_what_it_was_asked_for(client: Any, songs: str) -> None:
    query = {"float32": [1.0, 0.0]}
    found = client.query_vectors(indexArn=songs, queryVector=query, topK=2)
    assert found["vectors"] == [{"key": "so-what"}, {"key": "blue"}]
    assert found["distanceMetric"] == "cosine"
    found = client.query_vectors(indexArn=songs, queryVector=query, topK=10, returnDistance=True, returnMetadata=True)
    assert [each["distance"] for each in found["vectors"]] == [0.0, pytest.approx(1 - 0.5**0.5, abs=1e-7), 1.0, 2.0]
    assert [each["metadata"] for each in found["vectors"]] == [each.get("metadata", {}) for each in SONGS]


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        ({"genre": "jazz"}, ["so-what"]),
        ({"genre": {"$in": ["folk", "rock"]}}, ["blue", "kashmir"]),
        ({"year": {"$gt": 1959, "$lte": 1975}}, ["blue", "kashmir"]),
        ({"$or": [{"year": {"$lt": 1960}}, {"genre": {"$eq": "rock"}}]}, ["so-what", "kashmir"]),
        ({"$and": [{"genre": "live"}, {"year": 1971}]}, ["blue"]),
        ({"genre": {"$exists": False}}, ["silence"]),
        ({"genre": "opera"}, []),
        (None, ["so-what", "blue", "kashmir", "silence"]),
    ],
)
def test_a_filter_leaves_the_nearest_that_fit(client: Any, songs: str, wanted: Any, keys: list[str]) -> None:
    found = client.query_vectors(indexArn=songs, queryVector={"float32": [1.0, 0.1]}, topK=5, filter=wanted)
    assert keys_of(found) == keys


def test_a_key_that_is_not_filterable_is_told_and_no_filter(client: Any, songs: str) -> None:
    query = {"indexArn": songs, "queryVector": {"float32": [1.0, 0.0]}, "topK": 1}
    code, status, message = refusal(client.query_vectors, **query, filter={"text": "trumpet"})
    assert (code, status) == ("ValidationException", 400)
    assert message.startswith("filter: the key 'text' is one of this index's non-filterable metadata keys.")
    assert client.query_vectors(**query, returnMetadata=True)["vectors"][0]["metadata"]["text"] == "trumpet"


def test_a_vector_that_is_put_again_is_another_from_then_on(client: Any, songs: str) -> None:
    client.put_vectors(indexArn=songs, vectors=[{"key": "blue", "data": {"float32": [2.0, 0.0]}}])
    (told,) = client.get_vectors(indexArn=songs, keys=["blue"], returnData=True, returnMetadata=True)["vectors"]
    assert told == {"key": "blue", "data": {"float32": [2.0, 0.0]}, "metadata": {}}
    query = {"indexArn": songs, "queryVector": {"float32": [1.0, 0.0]}, "topK": 2}
    assert keys_of(client.query_vectors(**query)) == ["blue", "so-what"]
    assert keys_of(client.query_vectors(**query, filter={"year": 1971})) == []
    client.delete_vectors(indexArn=songs, keys=["blue", "never-there"])
    assert keys_of(client.query_vectors(**query)) == ["so-what", "kashmir"]
    assert client.get_vectors(indexArn=songs, keys=["blue", "silence", "silence"])["vectors"] == [{"key": "silence"}]


def test_an_index_named_twice_is_one_if_both_names_mean_it(client: Any, songs: str, bucket: str) -> None:
    both = {"indexArn": songs, "vectorBucketName": bucket}
    assert client.get_index(**both, indexName="songs")["index"]["indexArn"] == songs
    assert keys_of(client.get_vectors(**both, keys=["blue"])) == ["blue"]
    for other in (both | {"vectorBucketName": "another"}, both | {"indexName": "another"}):
        code, _, message = refusal(client.get_index, **other)
        assert code == "ValidationException"
        assert message.startswith("indexArn: another index than that of vectorBucketName and indexName.")
    arn = songs.partition("/index/")[0]
    assert client.list_indexes(vectorBucketArn=arn, vectorBucketName=bucket)["indexes"][0]["indexArn"] == songs
    told = refusal(client.list_indexes, vectorBucketArn=arn, vectorBucketName="another")
    assert told[2].startswith("vectorBucketArn: another vector bucket than that of vectorBucketName.")


def test_segments_together_are_all_vectors_each_once(client: Any, songs: str) -> None:
    client.put_vectors(
        indexArn=songs, vectors=[{"key": f"{number}", "data": {"float32": [1.0, number]}} for number in range(100)]
    )
    pages = client.get_paginator("list_vectors")
    found = [
        vector["key"]
        for segment in range(3)
        for page in pages.paginate(
            indexArn=songs, segmentCount=3, segmentIndex=segment, PaginationConfig={"PageSize": 7}
        )
        for vector in page["vectors"]
    ]
    assert sorted(found) == sorted([*(song["key"] for song in SONGS), *map(str, range(100))])
    code, _, message = refusal(client.list_vectors, indexArn=songs, segmentCount=2, segmentIndex=2)
    assert code == "ValidationException"
    assert message.startswith("segmentIndex: 2 is not less than segmentCount, 2.")


def test_a_page_of_vectors_ends_after_a_megabyte(client: Any, bucket: str) -> None:
    place = {"vectorBucketName": bucket, "indexName": "wide"}
    client.create_index(**place, dataType="float32", dimension=4096, distanceMetric="euclidean")
    for first in (0, 50):
        vectors = [{"key": f"{first + number}", "data": {"float32": [0.0] * 4096}} for number in range(50)]
        client.put_vectors(**place, vectors=vectors)
    assert len(client.list_vectors(**place, maxResults=100)["vectors"]) == 100
    page = client.list_vectors(**place, maxResults=100, returnData=True)
    assert len(page["vectors"]) == 62
    rest = client.list_vectors(**place, maxResults=100, returnData=True, nextToken=page["nextToken"])
    assert len(rest["vectors"]) == 38
    assert "nextToken" not in rest


def test_a_put_with_one_bad_vector_puts_none(client: Any, songs: str) -> None:
    good = {"key": "good", "data": {"float32": [1.0, 1.0]}}
    told = refusal(client.put_vectors, indexArn=songs, vectors=[good, {"key": "bad", "data": {"float32": [1.0]}}])
    assert told[0] == "ValidationException"
    assert told[2].startswith("Invalid record for key 'bad': vector has 1 values, and the index has dimension 2.")
    assert client.get_vectors(indexArn=songs, keys=["good", "bad"])["vectors"] == []


def test_what_cannot_be_is_refused_by_name(server: Running, client: Any, songs: str, bucket: str) -> None:
    free = server.client("s3vectors", config={"parameter_validation": False})
    query = {"indexArn": songs, "queryVector": {"float32": [1.0, 0.0]}, "topK": 1}
    many = [{"key": f"{number}", "data": {"float32": [1.0, 1.0]}} for number in range(501)]
    key_of_ones_own = {"sseType": "aws:kms", "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/k"}
    cases: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
        (client.query_vectors, query | {"topK": 101}, "topK: 101 is more than the 100"),
        (client.query_vectors, query | {"queryVector": {"float32": [1.0]}}, "queryVector: vector has 1 values"),
        (client.query_vectors, query | {"queryVector": {"float32": [0.0, 0.0]}}, "queryVector: a vector of zeros"),
        (client.query_vectors, query | {"filter": {"$not": {}}}, "filter: '$not' is no operator"),
        (free.put_vectors, {"indexArn": songs, "vectors": many}, "length less than or equal to 500"),
        (free.put_vectors, {"indexArn": songs, "vectors": [{**many[0], "key": "k" * 1025}]}, "equal to 1024"),
        (client.put_vectors, {"vectors": many[:1]}, "Give either indexArn, or vectorBucketName and indexName"),
        (client.put_vectors, {"vectorBucketName": bucket, "vectors": many[:1]}, "Give either indexArn"),
        (client.get_vector_bucket, {}, "Give either vectorBucketName or vectorBucketArn"),
        (client.create_vector_bucket, {"vectorBucketName": "No_Bucket"}, "vectorBucketName: 'No_Bucket' may have"),
        (client.create_index, {"vectorBucketName": bucket, "indexName": "-i-", **INDEX}, "indexName: '-i-' may have"),
        (
            client.create_index, {"vectorBucketName": bucket, "indexName": "iii", **INDEX, "dimension": 4097},
            "value less than or equal to 4096",
        ),
        (
            client.create_vector_bucket,
            {"vectorBucketName": "secret", "encryptionConfiguration": key_of_ones_own},
            "encryption by a key of one's own is not built in Outcrop yet",
        ),
    ]  # fmt: skip
    for call, params, told in cases:
        code, status, message = refusal(call, **params)
        assert (code, status) == ("ValidationException", 400), message
        assert told in message
    assert refusal(client.create_index, vectorBucketName="nowhere", indexName="iii", **INDEX)[0] == "NotFoundException"
    assert refusal(client.list_indexes, vectorBucketName="nowhere")[0] == "NotFoundException"


def test_a_bucket_of_another_region_is_another(server: Running, client: Any, bucket: str) -> None:
    there = server.client("s3vectors", region_name="eu-west-1")
    assert refusal(there.get_vector_bucket, vectorBucketName=bucket)[0] == "NotFoundException"
    arn = client.get_vector_bucket(vectorBucketName=bucket)["vectorBucket"]["vectorBucketArn"]
    assert refusal(there.get_vector_bucket, vectorBucketArn=arn)[0] == "NotFoundException"
    assert refusal(there.get_index, indexArn=f"{arn}/index/any")[0] == "NotFoundException"
    assert refusal(there.list_tags_for_resource, resourceArn=arn)[0] == "NotFoundException"
    there.create_vector_bucket(vectorBucketName=bucket)
    assert bucket in [each["vectorBucketName"] for each in there.list_vector_buckets()["vectorBuckets"]]
    client.delete_vector_bucket(vectorBucketName=bucket)
    assert (
        there.get_vector_bucket(vectorBucketName=bucket)["vectorBucket"]["vectorBucketArn"].split(":")[3] == "eu-west-1"
    )


def test_names_that_begin_alike_are_told_apart(client: Any) -> None:
    for name in ("alike", "alike-2"):
        client.create_vector_bucket(vectorBucketName=name)
        client.create_index(vectorBucketName=name, indexName=f"in-{name}", **INDEX)
    assert [each["indexName"] for each in client.list_indexes(vectorBucketName="alike")["indexes"]] == ["in-alike"]
    client.delete_index(vectorBucketName="alike", indexName="in-alike")
    client.delete_vector_bucket(vectorBucketName="alike")
    assert client.list_indexes(vectorBucketName="alike-2", prefix="in-")["indexes"][0]["indexName"] == "in-alike-2"


def test_tokens_of_the_longest_names_are_taken_again(server: Running) -> None:
    client, name = server.client("s3vectors", region_name="ap-southeast-1"), "b" * 63
    client.create_vector_bucket(vectorBucketName=name)
    for letter in "xyz":
        client.create_index(vectorBucketName=name, indexName=letter * 63, **INDEX)
    pages = client.get_paginator("list_indexes").paginate(vectorBucketName=name, PaginationConfig={"PageSize": 1})
    assert [each["indexName"][0] for page in pages for each in page["indexes"]] == ["x", "y", "z"]


@pytest.fixture
def reader(server: Running) -> tuple[Any, str]:
    """A client of a user who may nothing yet, and the user's name."""
    iam, name = server.client("iam"), f"reader-{next(_numbers)}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    return server.client("s3vectors", **keys), name


def test_who_may_query_may_not_read_what_is_found(server: Running, songs: str, reader: tuple[Any, str]) -> None:
    mine, name = reader
    query = {"indexArn": songs, "queryVector": {"float32": [1.0, 0.0]}, "topK": 1}
    code, status, message = refusal(mine.query_vectors, **query)
    assert (code, status) == ("AccessDeniedException", 403)
    assert "is not authorized to perform: s3vectors:QueryVectors on resource: " + songs in message
    say(server.client("iam"), name, policy("Allow", ["s3vectors:QueryVectors", "s3vectors:ListVectors"], songs))
    assert keys_of(mine.query_vectors(**query, returnDistance=True)) == ["so-what"]
    assert keys_of(mine.list_vectors(indexArn=songs, maxResults=1)) == ["so-what"]
    for call, more in [
        (mine.query_vectors, query | {"filter": {"year": 1959}}),
        (mine.query_vectors, query | {"returnMetadata": True}),
        (mine.list_vectors, {"indexArn": songs, "returnData": True}),
    ]:
        assert "s3vectors:GetVectors" in refusal(call, **more)[2]
    vector = [{"key": "k", "data": {"float32": [1.0, 1.0]}}]
    assert refusal(mine.put_vectors, indexArn=songs, vectors=vector)[0] == "AccessDeniedException"


def test_to_tag_what_one_makes_needs_a_permission_of_its_own(server: Running, reader: tuple[Any, str]) -> None:
    mine, name = reader
    say(server.client("iam"), name, policy("Allow", "s3vectors:CreateVectorBucket", "*"))
    made = {"vectorBucketName": f"tagged-{next(_numbers)}", "tags": {"a": "b"}}
    assert "s3vectors:TagResource" in refusal(mine.create_vector_bucket, **made)[2]
    say(server.client("iam"), name, policy("Allow", ["s3vectors:CreateVectorBucket", "s3vectors:TagResource"], "*"))
    mine.create_vector_bucket(**made)


def of_bucket(effect: str, principal: Any, action: Any, *resources: str) -> str:
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": list(resources)}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_the_policy_of_a_bucket_gives_and_takes(
    server: Running, client: Any, bucket: str, songs: str, reader: tuple[Any, str]
) -> None:
    mine, name = reader
    user = f"arn:aws:iam::{server.platform.account}:user/{name}"
    query = {"indexArn": songs, "queryVector": {"float32": [1.0, 0.0]}, "topK": 1}
    inside = songs.replace("/index/songs", "/*")
    assert refusal(client.get_vector_bucket_policy, vectorBucketName=bucket)[:2] == ("NotFoundException", 404)

    given = of_bucket("Allow", {"AWS": user}, "s3vectors:QueryVectors", inside)
    client.put_vector_bucket_policy(vectorBucketName=bucket, policy=given)
    assert client.get_vector_bucket_policy(vectorBucketName=bucket)["policy"] == given
    assert keys_of(mine.query_vectors(**query)) == ["so-what"]
    assert refusal(mine.get_vectors, indexArn=songs, keys=["blue"])[0] == "AccessDeniedException"

    say(server.client("iam"), name, policy("Allow", "s3vectors:*", "*"))
    client.put_vector_bucket_policy(
        vectorBucketName=bucket, policy=of_bucket("Deny", "*", "s3vectors:QueryVectors", inside)
    )
    told = refusal(mine.query_vectors, **query)
    assert told[0] == "AccessDeniedException"
    assert told[2].endswith("with an explicit deny in a resource-based policy")
    assert refusal(client.query_vectors, **query)[0] == "AccessDeniedException"
    assert mine.get_vectors(indexArn=songs, keys=["blue"])["vectors"] == [{"key": "blue"}]

    client.delete_vector_bucket_policy(vectorBucketName=bucket)
    assert keys_of(mine.query_vectors(**query)) == ["so-what"]


def test_a_denial_of_everything_can_be_undone_by_the_administrator(client: Any, bucket: str, songs: str) -> None:
    everything = [songs.partition("/index/")[0], songs]
    client.put_vector_bucket_policy(vectorBucketName=bucket, policy=of_bucket("Deny", "*", "*", *everything))
    assert refusal(client.get_index, indexArn=songs)[0] == "AccessDeniedException"
    client.delete_vector_bucket_policy(vectorBucketName=bucket)
    assert client.get_index(indexArn=songs)["index"]["indexName"] == "songs"


def test_a_boundary_limits_what_the_policy_of_a_bucket_gives(
    server: Running, client: Any, bucket: str, songs: str, reader: tuple[Any, str]
) -> None:
    mine, name = reader
    iam = server.client("iam")
    client.put_vector_bucket_policy(vectorBucketName=bucket, policy=of_bucket("Allow", "*", "s3vectors:*", songs))
    mine.get_index(indexArn=songs)
    arn = iam.create_policy(PolicyName=f"only-{name}", PolicyDocument=policy("Allow", "s3:*"))["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=arn)
    assert refusal(mine.get_index, indexArn=songs)[0] == "AccessDeniedException"


def test_a_session_may_no_more_than_its_own_policy_says(
    server: Running, client: Any, bucket: str, songs: str, reader: tuple[Any, str]
) -> None:
    _, name = reader
    iam, account = server.client("iam"), server.platform.account
    role = iam.create_role(RoleName=f"role-{name}", AssumeRolePolicyDocument=trusting({"AWS": account}))["Role"]["Arn"]
    given = of_bucket("Allow", {"AWS": role}, "s3vectors:*", songs)
    client.put_vector_bucket_policy(vectorBucketName=bucket, policy=given)

    def session(**limits: str) -> Any:
        made = server.client("sts").assume_role(RoleArn=role, RoleSessionName="reading", **limits)["Credentials"]
        return server.client(
            "s3vectors",
            aws_access_key_id=made["AccessKeyId"],
            aws_secret_access_key=made["SecretAccessKey"],
            aws_session_token=made["SessionToken"],
        )

    assert keys_of(session().get_vectors(indexArn=songs, keys=["blue"])) == ["blue"]
    limited = session(Policy=policy("Allow", "s3vectors:GetIndex"))
    limited.get_index(indexArn=songs)
    assert refusal(limited.get_vectors, indexArn=songs, keys=["blue"])[0] == "AccessDeniedException"


def test_a_condition_in_the_policy_of_a_bucket_is_heeded(
    server: Running, client: Any, bucket: str, songs: str, reader: tuple[Any, str]
) -> None:
    mine, name = reader
    for username, may in (("somebody", False), (name, True)):
        statement = json.loads(of_bucket("Allow", "*", "s3vectors:GetIndex", songs))
        statement["Statement"][0]["Condition"] = {"StringEquals": {"aws:username": username}}
        client.put_vector_bucket_policy(vectorBucketName=bucket, policy=json.dumps(statement))
        if may:
            mine.get_index(indexArn=songs)
        else:
            assert refusal(mine.get_index, indexArn=songs)[0] == "AccessDeniedException"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "policy: This policy contains invalid Json"),
        (of_bucket("Allow", "*", "s3:GetObject", "*"), "policy: Statement[0]: the action 's3:GetObject' is none of"),
        (
            of_bucket("Allow", "*", "s3vectors:*", "arn:aws:s3vectors:us-east-1:123456789012:bucket/other"),
            "policy: Statement[0]: the resource",
        ),
        (of_bucket("Allow", {"Federated": "x"}, "s3vectors:*", "*"), "policy: Statement[0]: a principal of the kind"),
    ],
)
def test_what_is_no_policy_of_the_bucket_is_told(client: Any, bucket: str, text: str, told: str) -> None:
    code, _, message = refusal(client.put_vector_bucket_policy, vectorBucketName=bucket, policy=text)
    assert code == "ValidationException"
    assert message.startswith(told)


def test_what_memory_has_no_room_for_is_found_in_the_file(server: Running, client: Any, songs: str) -> None:
    room = server.platform.vector_indexes
    before = room._open
    room._open = OpenIndexes(server.settings.vectors, most_bytes=8)
    try:
        found = client.query_vectors(
            indexArn=songs, queryVector={"float32": [1.0, 0.1]}, topK=2, filter={"year": {"$gte": 1971}}
        )
    finally:
        room._open = before
    assert keys_of(found) == ["blue", "kashmir"]


def test_many_at_once_lose_nothing(server: Running, client: Any, bucket: str) -> None:
    place = {"vectorBucketName": bucket, "indexName": "busy"}
    client.create_index(**place, **INDEX)
    failed: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            mine = server.client("s3vectors")
            for number in range(10):
                vectors = [{"key": f"{writer}-{number}-{i}", "data": {"float32": [1.0, i]}} for i in range(5)]
                mine.put_vectors(**place, vectors=vectors)
                mine.query_vectors(**place, queryVector={"float32": [1.0, 0.0]}, topK=5)
                mine.delete_vectors(**place, keys=[f"{writer}-{number}-0"])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(client.list_vectors(**place, maxResults=1000)["vectors"]) == 4 * 10 * 4
    found = client.query_vectors(**place, queryVector={"float32": [1.0, 0.0]}, topK=100)
    assert [key[-2:] for key in keys_of(found)[:40]] == ["-1"] * 40


def test_of_two_who_make_the_same_index_one_does(server: Running, client: Any, bucket: str) -> None:
    told: list[str] = []

    def make() -> None:
        try:
            server.client("s3vectors").create_index(vectorBucketName=bucket, indexName="one", **INDEX)
            told.append("made")
        except ClientError as error:
            told.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["ConflictException"] * 3 + ["made"]


def test_a_killed_server_has_kept_every_vector_that_it_acknowledged_and_no_half_of_a_put(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server:
        client = server.client("s3vectors")
        client.create_vector_bucket(vectorBucketName="kept")
        place = {"vectorBucketName": "kept", "indexName": "kept"}
        client.create_index(**place, dataType="float32", dimension=64, distanceMetric="euclidean")
        acknowledged: list[int] = []
        values = np.random.default_rng(3).normal(size=64).tolist()

        def put() -> None:
            try:
                for number in range(1000):
                    vectors = [{"key": f"{number}-{i}", "data": {"float32": values}} for i in range(200)]
                    client.put_vectors(**place, vectors=vectors)
                    acknowledged.append(number)
            except (BotoCoreError, ClientError):
                return

        writer = threading.Thread(target=put)
        writer.start()
        while len(acknowledged) < 5:
            writer.join(0.01)
        server.kill()
        writer.join()
        server.start()
        pages = client.get_paginator("list_vectors").paginate(**place)
        found = [vector["key"] for page in pages for vector in page["vectors"]]
        puts = {key.partition("-")[0] for key in found}
        assert puts >= set(map(str, acknowledged))
        assert len(puts) <= len(acknowledged) + 1
        assert len(found) == len(set(found)) == 200 * len(puts)
        assert len(client.query_vectors(**place, queryVector={"float32": values}, topK=100)["vectors"]) == 100


def test_what_another_process_writes_is_found_by_the_next_query(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server, House.open(server.settings, SystemClock()) as house:
        client = server.client("s3vectors")
        client.create_vector_bucket(vectorBucketName="shared")
        arn = client.create_index(vectorBucketName="shared", indexName="shared", **INDEX)["indexArn"]
        index, query = house.vector_indexes.find(arn), {"float32": [1.0, 0.0]}
        for number in range(3):
            asked = {"indexArn": arn, "queryVector": query, "topK": 9, "filter": {"n": {"$gte": 0}}}
            assert keys_of(client.query_vectors(**asked)) == [f"{each}" for each in range(number)]
            vector = {"key": f"{number}", "data": {"float32": [1.0, number]}, "metadata": {"n": number}}
            house.vector_indexes.put(index, [vector])
        client.delete_vectors(indexArn=arn, keys=["1"])
        assert [each.key for each in house.vector_indexes.nearest(index, query, most=9)] == ["0", "2"]
        client.delete_index(indexArn=arn)
        with pytest.raises(NotFound):
            house.vector_indexes.find(arn)


def test_files_that_no_index_has_are_swept_away(tmp_path: Path) -> None:
    with running_server(tmp_path / "home") as server:
        client = server.client("s3vectors")
        client.create_vector_bucket(vectorBucketName="swept")
        client.create_index(vectorBucketName="swept", indexName="kept", **INDEX)
        folder = server.settings.vectors
        (kept,) = folder.glob("*.sqlite")
        for name in ("old.sqlite", "new.sqlite"):
            (folder / name).write_bytes(kept.read_bytes())
        for path in (kept, folder / "old.sqlite"):
            os.utime(path, (1, 1))
    with running_server(tmp_path / "home") as server:
        server.client("s3vectors").list_indexes(vectorBucketName="swept")
        assert sorted(path.name for path in folder.glob("*.sqlite")) == sorted([kept.name, "new.sqlite"])


def test_an_index_whose_file_is_damaged_is_told_and_can_be_deleted(server: Running, client: Any, bucket: str) -> None:
    arn = client.create_index(vectorBucketName=bucket, indexName="hurt", **INDEX)["indexArn"]
    file = server.platform.vector_indexes.find(arn).file
    (server.settings.vectors / file).write_bytes(b"no database at all, but long enough to be taken for one" * 100)
    code, status, message = refusal(client.get_vectors, indexArn=arn, keys=["a"])
    assert (code, status) == ("InternalServerException", 500)
    assert f"the vectors of {arn} cannot be used" in message
    client.delete_index(indexArn=arn)
    client.create_index(vectorBucketName=bucket, indexName="hurt", **INDEX)
    assert client.get_vectors(indexArn=arn, keys=["a"])["vectors"] == []
