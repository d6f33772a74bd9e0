"""Knowledge bases through boto3: a server, a light worker beside it, and documents in the built-in S3."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.knowledge_bases import TITAN_ARN, ZERO, Knowledge, knowledge_house, light_work, refusal
from tests.support.patience import eventually
from tests.support.policies import policy, trusting

RULES = """# Trading rules

Rule 1. A member shall report each trade within ten seconds.

## Halts

Rule 2. Trading halts when the index falls by seven per cent.
"""


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    with knowledge_house(tmp_path_factory.mktemp("knowledge") / "home") as house:
        yield house


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """A house without a worker: jobs wait."""
    with knowledge_house(tmp_path_factory.mktemp("idle") / "home", works=False) as house:
        yield house


def test_documents_in_s3_become_passages_that_are_found(knowledge: Knowledge) -> None:
    knowledge.put("road/rules.md", RULES, year=2024, topics=["halts", "reports"])
    knowledge.put("road/prices.csv", "Bond,Coupon\nA,3.5\nB,4.25\n")
    source = knowledge.source("road/")
    job = knowledge.ended(knowledge.start(source))
    assert job["status"] == "COMPLETE"
    assert job["statistics"] == ZERO | {
        "numberOfDocumentsScanned": 2,
        "numberOfMetadataDocumentsScanned": 1,
        "numberOfNewDocumentsIndexed": 2,
    }
    (found, *_) = knowledge.search(source, "when does trading halt")
    uri = knowledge.uri("road/rules.md")
    assert found.document.identifier == uri
    assert found.metadata["x-amz-bedrock-kb-source-uri"] == uri
    assert found.metadata["year"] == 2024
    assert RULES[found.passage.start : found.passage.end] == found.passage.text
    (row,) = knowledge.search(source, "coupon of bond B", most=1)
    assert "Bond: B | Coupon: 4.25" in row.text
    assert knowledge.documents(source) == {
        knowledge.uri(f"road/{name}"): ("INDEXED", "") for name in ("rules.md", "prices.csv")
    }


def test_what_is_created_is_told_and_listed_and_deleted(knowledge: Knowledge) -> None:
    agent = knowledge.agent
    asked = knowledge.asked(description="of rules", tags={"team": "a"})
    created = agent.create_knowledge_base(**asked)
    told = created["knowledgeBase"]
    assert {name: told[name] for name in asked if name != "tags"} == {n: v for n, v in asked.items() if n != "tags"}
    assert (told["status"], len(told["knowledgeBaseId"])) == ("ACTIVE", 10)
    assert told["knowledgeBaseArn"].endswith(f":knowledge-base/{told['knowledgeBaseId']}")
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert created["ResponseMetadata"]["HTTPHeaders"]["x-outcrop-store"] == "embedded"
    knowledge_base = {"knowledgeBaseId": told["knowledgeBaseId"]}
    assert agent.get_knowledge_base(**knowledge_base)["knowledgeBase"] == told
    summaries = agent.list_knowledge_bases()["knowledgeBaseSummaries"]
    assert [each["name"] for each in summaries if each["knowledgeBaseId"] == told["knowledgeBaseId"]] == [asked["name"]]
    assert agent.list_tags_for_resource(resourceArn=told["knowledgeBaseArn"])["tags"] == {"team": "a"}
    agent.tag_resource(resourceArn=told["knowledgeBaseArn"], tags={"stage": "b"})
    agent.untag_resource(resourceArn=told["knowledgeBaseArn"], tagKeys=["team"])
    assert agent.list_tags_for_resource(resourceArn=told["knowledgeBaseArn"])["tags"] == {"stage": "b"}

    source = knowledge.source("x/", knowledge_base=told["knowledgeBaseId"])
    listed = agent.list_data_sources(**knowledge_base)["dataSourceSummaries"]
    assert [(each["dataSourceId"], each["status"]) for each in listed] == [(source.id, "AVAILABLE")]
    got = agent.get_data_source(**source.ids)["dataSource"]
    assert got["dataSourceConfiguration"]["s3Configuration"]["inclusionPrefixes"] == ["x/"]
    assert got["dataDeletionPolicy"] == "DELETE"

    folder = knowledge.house.knowledge_indexes.folder_of(told["knowledgeBaseArn"])
    knowledge.ingest(source)
    assert folder.exists()
    assert agent.delete_knowledge_base(**knowledge_base)["status"] == "DELETING"
    assert not folder.exists()
    gone = ("ResourceNotFoundException", f"KnowledgeBase with id {told['knowledgeBaseId']} does not exist.")
    assert refusal(agent.get_knowledge_base, **knowledge_base) == gone
    assert refusal(agent.get_data_source, **source.ids) == gone
    assert refusal(agent.list_tags_for_resource, resourceArn=told["knowledgeBaseArn"])[0] == "ResourceNotFoundException"
    assert knowledge.create(name=asked["name"]), "its name is free again"


def test_the_next_ingestion_touches_what_has_changed_alone(knowledge: Knowledge) -> None:
    for number in range(300):
        knowledge.put(f"many/{number:03}.txt", f"Document {number} tells of the number {number * 7919}.")
    source = knowledge.source("many/")
    assert knowledge.ingest(source) == {"DocumentsScanned": 300, "NewDocumentsIndexed": 300}
    before = {record.key: record for record in knowledge.index(source).records(source.id)}
    knowledge.put("many/007.txt", "Document 7 tells of an aardvark now.")
    assert knowledge.ingest(source) == {"DocumentsScanned": 300, "ModifiedDocumentsIndexed": 1}
    after = {record.key: record for record in knowledge.index(source).records(source.id)}
    assert [key.identifier for key in after if after[key] != before[key]] == [knowledge.uri("many/007.txt")]
    assert "aardvark" in knowledge.search(source, "aardvark")[0].text
    assert not [found for found in knowledge.search(source, str(7 * 7919)) if str(7 * 7919) in found.text]

    knowledge.client("s3").delete_object(Bucket=knowledge.bucket, Key="many/008.txt")
    knowledge.put("many/009.txt", "Document 9 tells of the number 71271.")  # the same bytes, put again
    knowledge.put("many/010.txt", f"Document 10 tells of the number {10 * 7919}.", year=2024)
    assert knowledge.ingest(source) == {
        "DocumentsScanned": 299,
        "MetadataDocumentsScanned": 1,
        "MetadataDocumentsModified": 1,
        "DocumentsDeleted": 1,
    }
    assert knowledge.search(source, f"{10 * 7919}")[0].metadata["year"] == 2024
    assert knowledge.ingest(source) == {"DocumentsScanned": 299, "MetadataDocumentsScanned": 1}
    assert knowledge.uri("many/008.txt") not in knowledge.documents(source)


def test_a_knowledge_base_has_one_ingestion_job_at_a_time(idle: Knowledge) -> None:
    source = idle.source("one/")
    other = idle.source("two/", knowledge_base=source.knowledge_base)
    clients = [idle.server.client("bedrock-agent") for _ in range(8)]

    def begun(client: Any) -> str:
        try:
            return str(client.start_ingestion_job(**source.ids)["ingestionJob"]["status"])
        except client.exceptions.ConflictException:
            return "conflict"

    with ThreadPoolExecutor(8) as threads:
        said = sorted(threads.map(begun, clients))
    assert said == ["STARTING", *["conflict"] * 7]
    (job,) = idle.agent.list_ingestion_jobs(**source.ids)["ingestionJobSummaries"]
    told = (
        f"KnowledgeBase with id {source.knowledge_base} has an ongoing ingestion job with id {job['ingestionJobId']}."
    )
    for refused in (
        refusal(idle.agent.start_ingestion_job, **other.ids),
        refusal(idle.agent.delete_data_source, **source.ids),
        refusal(idle.agent.delete_knowledge_base, knowledgeBaseId=source.knowledge_base),
    ):
        assert refused == ("ConflictException", f"{told} Wait for its end, or stop it.")
    # One that nobody has begun is stopped at once.
    named = {**source.ids, "ingestionJobId": job["ingestionJobId"]}
    assert idle.agent.stop_ingestion_job(**named)["ingestionJob"]["status"] == "STOPPED"
    assert refusal(idle.agent.stop_ingestion_job, **named)[0] == "ConflictException"
    assert idle.agent.start_ingestion_job(**other.ids)["ingestionJob"]["status"] == "STARTING"


def test_a_job_that_is_stopped_keeps_what_it_has_indexed(idle: Knowledge) -> None:
    for number in range(2000):
        idle.house.buckets.put_bytes(idle.bucket, f"long/{number:04}.txt", f"Number {number}.".encode())
    source = idle.source("long/")
    job = idle.start(source)
    with light_work(idle.server):
        eventually(lambda: idle.index(source).records(source.id, most=1))
        idle.agent.stop_ingestion_job(**job)
        stopped = idle.ended(job)
        assert stopped["status"] == "STOPPED"
        num_indexed = stopped["statistics"]["numberOfNewDocumentsIndexed"]
        assert 0 < num_indexed == idle.index(source).count_passages() < 2000
        assert idle.ingest(source) == {"DocumentsScanned": 2000, "NewDocumentsIndexed": 2000 - num_indexed}


def test_a_role_without_rights_fails_in_a_sentence(knowledge: Knowledge) -> None:
    iam, agent = knowledge.client("iam"), knowledge.agent
    trust = trusting({"Service": "bedrock.amazonaws.com"})
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    code, message = refusal(agent.create_knowledge_base, **knowledge.asked(roleArn=role))
    assert code == "ValidationException"
    assert message.startswith(f"Knowledge base role {role} is not able to call specified bedrock embedding model")
    document = policy("Allow", "bedrock:InvokeModel", TITAN_ARN)
    iam.put_role_policy(RoleName="reader", PolicyName="model", PolicyDocument=document)
    source = knowledge.source("secret/", knowledge_base=knowledge.create(roleArn=role))
    knowledge.put("secret/a.txt", "One secret.")
    job = knowledge.ended(knowledge.start(source))
    assert job["status"] == "FAILED"
    (reason,) = job["failureReasons"]
    assert f"the role {role} does not allow s3:ListBucket" in reason
    iam.put_role_policy(
        RoleName="reader", PolicyName="list", PolicyDocument=policy("Allow", "s3:ListBucket", "arn:aws:s3:::documents")
    )
    assert knowledge.ingest(source) == {"DocumentsScanned": 1, "DocumentsFailed": 1}
    assert "does not allow s3:GetObject" in knowledge.documents(source)[knowledge.uri("secret/a.txt")][1]
    iam.put_role_policy(
        RoleName="reader", PolicyName="get", PolicyDocument=policy("Allow", "s3:GetObject", "arn:aws:s3:::documents/*")
    )
    assert knowledge.ingest(source) == {"DocumentsScanned": 1, "NewDocumentsIndexed": 1}
    absent = "arn:aws:iam::123456789012:role/absent"
    assert refusal(agent.create_knowledge_base, **knowledge.asked(roleArn=absent))[1].startswith(
        "Bedrock Knowledge Base was unable to assume the given role."
    )


def vectors(**members: Any) -> dict[str, Any]:
    return {
        "knowledgeBaseConfiguration": {
            "type": "VECTOR",
            "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": TITAN_ARN, **members},
        }
    }


def bedrock_model(**settings: Any) -> dict[str, Any]:
    return vectors(embeddingModelConfiguration={"bedrockEmbeddingModelConfiguration": settings})


SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"
MAPPING = {"vectorField": "v", "textField": "t", "metadataField": "m"}
OPENSEARCH = {
    "type": "OPENSEARCH_SERVERLESS",
    "opensearchServerlessConfiguration": {
        "collectionArn": "arn:aws:aoss:us-east-1:123456789012:collection/abcdefghij",
        "vectorIndexName": "i",
        "fieldMapping": MAPPING,
    },
}
PINECONE = {
    "type": "PINECONE",
    "pineconeConfiguration": {
        "connectionString": "https://i.pinecone.io",
        "credentialsSecretArn": SECRET,
        "fieldMapping": {"textField": "t", "metadataField": "m"},
    },
}
KENDRA = "arn:aws:kendra:us-east-1:123456789012:index/12345678-1234-1234-1234-123456789012"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {
                "knowledgeBaseConfiguration": {
                    "type": "KENDRA",
                    "kendraKnowledgeBaseConfiguration": {"kendraIndexArn": KENDRA},
                }
            },
            "knowledgeBaseConfiguration.type: KENDRA: indexes of Amazon Kendra are not built",
        ),
        (
            {"knowledgeBaseConfiguration": {"type": "VECTOR"}},
            "vectorKnowledgeBaseConfiguration is missing, where type is VECTOR",
        ),
        (
            {"storageConfiguration": {"type": "S3_VECTORS", "s3VectorsConfiguration": {}}},
            "name the index by indexArn, or",
        ),
        ({"storageConfiguration": PINECONE}, "storageConfiguration.type: PINECONE: Pinecone is a service that nothing"),
        ({"storageConfiguration": {"type": "S3_VECTORS"}}, "s3VectorsConfiguration is missing"),
        (bedrock_model(embeddingDataType="BINARY"), "embeddingDataType: BINARY vectors are not built"),
        (bedrock_model(dimensions=0), "dimensions: 0 are no vector"),
        (bedrock_model(audio=[{"segmentationConfiguration": {"fixedLengthDuration": 5}}]), "audio: only text is read"),
        (
            vectors(
                supplementalDataStorageConfiguration={
                    "storageLocations": [{"type": "S3", "s3Location": {"uri": "s3://documents/x"}}]
                }
            ),
            "supplementalDataStorageConfiguration: pictures of documents are not kept",
        ),
        (vectors(embeddingModelArn=TITAN_ARN.replace("titan-embed-text-v2", "nobody")), "is not in the catalogue"),
        (
            vectors(embeddingModelArn="arn:aws:bedrock:us-east-1::foundation-model/outcrop.starter-v1"),
            "makes no vectors of text. Name an embedding model.",
        ),
    ],
)
def test_what_is_not_real_of_a_knowledge_base_is_refused_by_name(
    idle: Knowledge, params: dict[str, Any], said: str
) -> None:
    code, message = refusal(idle.agent.create_knowledge_base, **idle.asked(**params))
    assert (code, said in message) == ("ValidationException", True), message


def test_a_store_that_the_embedded_one_stands_in_for_is_taken_and_told(idle: Knowledge) -> None:
    created = idle.agent.create_knowledge_base(**idle.asked(storageConfiguration=OPENSEARCH))
    assert created["knowledgeBase"]["storageConfiguration"] == OPENSEARCH
    headers = created["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-outcrop-store"] == "embedded; stands in for OPENSEARCH_SERVERLESS"


def test_name_description_and_role_of_a_knowledge_base_change_and_nothing_else(idle: Knowledge) -> None:
    agent, asked = idle.agent, idle.asked(description="before")
    knowledge_base = {"knowledgeBaseId": agent.create_knowledge_base(**asked)["knowledgeBase"]["knowledgeBaseId"]}
    changed = asked | {"name": "renamed", "description": "after"}
    told = agent.update_knowledge_base(**knowledge_base, **changed)["knowledgeBase"]
    assert (told["name"], told["description"], told["status"]) == ("renamed", "after", "ACTIVE")
    said = "knowledgeBaseConfiguration: it cannot be changed."
    assert said in refusal(agent.update_knowledge_base, **knowledge_base, **changed | bedrock_model(dimensions=8))[1]
    other = idle.create(name="taken")
    assert refusal(agent.update_knowledge_base, knowledgeBaseId=other, **changed) == (
        "ConflictException",
        "KnowledgeBase with name renamed already exists.",
    )
    assert refusal(agent.create_knowledge_base, **changed)[0] == "ConflictException"


FIXED = {
    "chunkingStrategy": "FIXED_SIZE",
    "fixedSizeChunkingConfiguration": {"maxTokens": 100, "overlapPercentage": 20},
}


def hierarchical(parent: int, child: int, overlap: int) -> dict[str, Any]:
    return {
        "chunkingStrategy": "HIERARCHICAL",
        "hierarchicalChunkingConfiguration": {
            "levelConfigurations": [{"maxTokens": parent}, {"maxTokens": child}],
            "overlapTokens": overlap,
        },
    }


SEMANTIC = {
    "chunkingStrategy": "SEMANTIC",
    "semanticChunkingConfiguration": {"maxTokens": 300, "bufferSize": 0, "breakpointPercentileThreshold": 95},
}
PARSING = {"parsingStrategy": "BEDROCK_DATA_AUTOMATION"}


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"dataSourceConfiguration": {"type": "WEB"}}, "dataSourceConfiguration.type: WEB: data sources of this kind"),
        ({"dataSourceConfiguration": {"type": "S3"}}, "s3Configuration is missing, where type is S3"),
        (
            {
                "dataSourceConfiguration": {
                    "type": "S3",
                    "s3Configuration": {"bucketArn": "arn:aws:s3:::abc", "bucketOwnerAccountId": "1" * 12},
                }
            },
            "bucketOwnerAccountId: 111111111111 is another account",
        ),
        ({"vectorIngestionConfiguration": {"parsingConfiguration": PARSING}}, "parsing by a model"),
        ({"chunking": {"chunkingStrategy": "FIXED_SIZE"}}, "fixedSizeChunkingConfiguration is missing"),
        ({"chunking": hierarchical(100, 100, 10)}, "A parent holds its children"),
        ({"chunking": hierarchical(300, 100, 100)}, "overlapTokens: 100 is not below the 100 tokens"),
        ({"chunking": SEMANTIC}, "chunkingStrategy: SEMANTIC needs vectors of sentences"),
        (
            {
                "serverSideEncryptionConfiguration": {
                    "kmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012"
                }
            },
            "kmsKeyArn: encryption by a key of one's own is not built",
        ),
    ],
)
def test_what_is_not_real_of_a_data_source_is_refused_by_name(
    idle: Knowledge, params: dict[str, Any], said: str
) -> None:
    knowledge_base = idle.create()
    code, message = refusal(lambda: idle.source(knowledge_base=knowledge_base, **params))
    assert (code, said in message) == ("ValidationException", True), message


def test_chunking_and_type_of_a_data_source_cannot_be_changed(idle: Knowledge) -> None:
    source = idle.source("x/", chunking=FIXED)
    agent = idle.agent
    told = agent.get_data_source(**source.ids)["dataSource"]
    same = {name: told[name] for name in ("name", "dataSourceConfiguration", "vectorIngestionConfiguration")}
    assert agent.update_data_source(**source.ids, **same)["dataSource"]["name"] == told["name"]
    without = {**same, "name": "renamed"}
    del without["vectorIngestionConfiguration"]
    updated = agent.update_data_source(**source.ids, **without)["dataSource"]
    assert (updated["name"], updated["vectorIngestionConfiguration"]) == (
        "renamed",
        told["vectorIngestionConfiguration"],
    )
    other = {**same, "vectorIngestionConfiguration": {"chunkingConfiguration": {"chunkingStrategy": "NONE"}}}
    assert "chunking cannot be changed" in refusal(agent.update_data_source, **source.ids, **other)[1]
    custom = {**same, "dataSourceConfiguration": {"type": "CUSTOM"}}
    assert "it is S3, and cannot be changed" in refusal(agent.update_data_source, **source.ids, **custom)[1]
    another = idle.source(knowledge_base=source.knowledge_base)
    assert refusal(agent.update_data_source, **another.ids, **without) == (
        "ConflictException",
        "DataSource with name renamed already exists.",
    )


@pytest.mark.parametrize("policy_of_deletion", ["DELETE", "RETAIN"])
def test_a_deleted_data_source_takes_its_passages_along_or_leaves_them(
    knowledge: Knowledge, policy_of_deletion: str
) -> None:
    place = f"gone-{policy_of_deletion.lower()}"
    knowledge.put(f"{place}/a.txt", "A paragraph on penguins.")
    source = knowledge.source(f"{place}/", dataDeletionPolicy=policy_of_deletion)
    knowledge.ingest(source)
    assert knowledge.agent.delete_data_source(**source.ids)["status"] == "DELETING"
    eventually(
        lambda: not knowledge.agent.list_data_sources(knowledgeBaseId=source.knowledge_base)["dataSourceSummaries"]
    )
    assert len(knowledge.search(source, "penguins")) == (policy_of_deletion == "RETAIN")
    assert refusal(knowledge.agent.get_data_source, **source.ids) == (
        "ResourceNotFoundException",
        f"DataSource with id {source.id} does not exist.",
    )


def test_jobs_are_listed_by_state_and_in_order(knowledge: Knowledge) -> None:
    source = knowledge.source("listed/")
    first, second = (knowledge.ended(knowledge.start(source))["ingestionJobId"] for _ in range(2))
    agent = knowledge.agent

    def listed(**params: Any) -> list[str]:
        found = agent.list_ingestion_jobs(**source.ids, **params)["ingestionJobSummaries"]
        return [each["ingestionJobId"] for each in found]

    assert listed() == [second, first]
    assert listed(sortBy={"attribute": "STARTED_AT", "order": "ASCENDING"}) == [first, second]
    by_state = [{"attribute": "STATUS", "operator": "EQ", "values": ["FAILED"]}]
    assert listed(filters=by_state) == []
    page = agent.list_ingestion_jobs(**source.ids, maxResults=1)
    assert listed(maxResults=1, nextToken=page["nextToken"]) == [first]
    wrong = {**source.ids, "ingestionJobId": "A" * 10}
    assert refusal(agent.get_ingestion_job, **wrong)[0] == "ResourceNotFoundException"


def test_a_name_that_looks_like_an_id_names_nothing(idle: Knowledge) -> None:
    iam = idle.client("iam")
    mine, others = idle.create(), None
    others = idle.create(name=mine)  # whose name is the id of the first
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    arn = idle.house.knowledge_bases.arn("us-east-1", others)
    iam.put_user_policy(
        UserName="reader", PolicyName="p", PolicyDocument=policy("Allow", "bedrock:GetKnowledgeBase", arn)
    )
    reader = idle.server.client(
        "bedrock-agent", aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"]
    )
    assert reader.get_knowledge_base(knowledgeBaseId=others)
    assert refusal(reader.get_knowledge_base, knowledgeBaseId=mine)[0] == "AccessDeniedException"


def test_the_same_client_token_is_one_request(idle: Knowledge) -> None:
    asked = idle.asked(clientToken="t" * 33)
    first = idle.agent.create_knowledge_base(**asked)["knowledgeBase"]["knowledgeBaseId"]
    assert idle.agent.create_knowledge_base(**asked)["knowledgeBase"]["knowledgeBaseId"] == first
