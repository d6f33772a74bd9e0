"""A knowledge base in a whole installation: its worker asks an engine that nobody had asked before."""

import json
from pathlib import Path

from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.knowledge.embedding import encoder_of
from outcrop.knowledge.passage_index import SearchQuery, SearchType
from outcrop.settings import Settings
from tests.support.knowledge_bases import ENDS, TITAN_ARN, stand_behind_titan
from tests.support.patience import eventually
from tests.support.servers import installed
from tests.support.tiny_encoders import tiny_encoder


def test_documents_are_embedded_by_the_installations_own_engine(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = tiny_encoder(tmp_path / "vectors")
    with House.open(Settings(home=home), SystemClock()) as house:
        stand_behind_titan(house, folder)
    with installed(home) as installation:
        s3, agent = installation.client("s3"), installation.client("bedrock-agent")
        s3.create_bucket(Bucket="documents")
        s3.put_object(Bucket="documents", Key="a.txt", Body="The old house stands by the river.")
        metadata = json.dumps({"metadataAttributes": {"place": "river"}})
        s3.put_object(Bucket="documents", Key="a.txt.metadata.json", Body=metadata)
        base = agent.create_knowledge_base(
            name="houses",
            roleArn=installation.role,
            knowledgeBaseConfiguration={
                "type": "VECTOR",
                "vectorKnowledgeBaseConfiguration": {"embeddingModelArn": TITAN_ARN},
            },
        )["knowledgeBase"]
        source = agent.create_data_source(
            knowledgeBaseId=base["knowledgeBaseId"],
            name="bucket",
            dataSourceConfiguration={"type": "S3", "s3Configuration": {"bucketArn": "arn:aws:s3:::documents"}},
        )["dataSource"]
        ids = {"knowledgeBaseId": base["knowledgeBaseId"], "dataSourceId": source["dataSourceId"]}
        job = agent.start_ingestion_job(**ids)["ingestionJob"]["ingestionJobId"]
        eventually(lambda: agent.get_ingestion_job(**ids, ingestionJobId=job)["ingestionJob"]["status"] in ENDS)
        ended = agent.get_ingestion_job(**ids, ingestionJobId=job)["ingestionJob"]
        assert (ended["status"], ended.get("failureReasons")) == ("COMPLETE", None)
        assert ended["statistics"]["numberOfNewDocumentsIndexed"] == 1

        # Another process asks the same engine, and finds what the worker has put.
        with House.open(Settings(home=home), SystemClock()) as house:
            row = house.knowledge_bases.get(base["knowledgeBaseArn"])
            encoder = encoder_of(house, row)
            assert encoder is not None
            vector = house.asking_loop.run(encoder.query("the house by the river"))
            query = SearchQuery(text="", vector=vector, most=1, search_type=SearchType.SEMANTIC)
            (found,) = house.knowledge_indexes.of(row).search(query)
            assert (found.text, found.metadata["place"]) == ("The old house stands by the river.", "river")
