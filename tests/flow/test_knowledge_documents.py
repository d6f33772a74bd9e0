"""Documents of knowledge bases: sent with a request, good and bad, with vectors, and under kills."""

import io
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from outcrop.clock import SystemClock
from outcrop.house import House
from outcrop.knowledge.passage_index import SearchQuery
from tests.support.document_files import docx, paragraph
from tests.support.encoding_engine import encoding_engine
from tests.support.encrypted_files import encrypted_docx, encrypted_pdf, encrypted_xlsx
from tests.support.knowledge_bases import (
    BUCKET,
    Knowledge,
    Source,
    knowledge_house,
    refusal,
    stand_behind_titan,
)
from tests.support.patience import eventually
from tests.support.pdf_files import PdfFile, column
from tests.support.servers import Running, server_process
from tests.support.tiny_encoders import WIDTH, tiny_encoder

UNDONE = {"PENDING", "STARTING", "IN_PROGRESS", "DELETING", "DELETE_IN_PROGRESS"}


@pytest.fixture(scope="module")
def knowledge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    with knowledge_house(tmp_path_factory.mktemp("documents") / "home") as house:
        yield house


def text(identifier: str, content: str, **attributes: str) -> dict[str, Any]:
    """A document of a request that brings its text along."""
    inline = [{"key": key, "value": {"type": "STRING", "stringValue": value}} for key, value in attributes.items()]
    document: dict[str, Any] = {
        "content": {
            "dataSourceType": "CUSTOM",
            "custom": {
                "customDocumentIdentifier": {"id": identifier},
                "sourceType": "IN_LINE",
                "inlineContent": {"type": "TEXT", "textContent": {"data": content}},
            },
        }
    }
    return document | ({"metadata": {"type": "IN_LINE_ATTRIBUTE", "inlineAttributes": inline}} if inline else {})


def content(identifier: str, data: bytes, mime_type: str) -> dict[str, Any]:
    document = text(identifier, "")
    inline = {"type": "BYTE", "byteContent": {"mimeType": mime_type, "data": data}}
    document["content"]["custom"]["inlineContent"] = inline
    return document


def done(knowledge: Knowledge, source: Source) -> dict[str, tuple[str, str]]:
    """The states of all documents, once none waits."""
    eventually(lambda: not UNDONE & {state for state, _ in knowledge.documents(source).values()})
    return knowledge.documents(source)


def custom(*identifiers: str) -> list[dict[str, Any]]:
    return [{"dataSourceType": "CUSTOM", "custom": {"id": identifier}} for identifier in identifiers]


def test_documents_of_a_request_are_indexed_replaced_and_deleted(knowledge: Knowledge) -> None:
    source, agent = knowledge.custom_source(), knowledge.agent
    pdf = PdfFile(pages=[column(72, 700, ["Penguins live on the ice."])]).to_bytes()
    sent = agent.ingest_knowledge_base_documents(
        **source.ids,
        documents=[text("halts", "Trading halts at noon.", year="2024"), content("birds", pdf, "application/pdf")],
    )
    assert [each["identifier"]["custom"]["id"] for each in sent["documentDetails"]] == ["halts", "birds"]
    assert sent["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert done(knowledge, source) == {"birds": ("INDEXED", ""), "halts": ("INDEXED", "")}
    (found,) = knowledge.search(source, "halts")
    assert (found.text, found.metadata["year"]) == ("Trading halts at noon.", "2024")
    (found,) = knowledge.search(source, "penguins")
    assert found.passage.page == 1

    agent.ingest_knowledge_base_documents(**source.ids, documents=[text("halts", "Trading goes on.")])
    done(knowledge, source)
    assert knowledge.search(source, "noon") == []
    assert "year" not in knowledge.search(source, "trading")[0].metadata

    # Of several requests about a document the last one has the last word.
    agent.delete_knowledge_base_documents(**source.ids, documentIdentifiers=custom("halts"))
    agent.ingest_knowledge_base_documents(**source.ids, documents=[text("halts", "Trading is back.")])
    assert done(knowledge, source)["halts"] == ("INDEXED", "")
    eventually(lambda: knowledge.search(source, "back"))
    told = agent.delete_knowledge_base_documents(**source.ids, documentIdentifiers=custom("halts", "absent"))
    assert [each["status"] for each in told["documentDetails"]] == ["DELETING", "NOT_FOUND"]
    eventually(lambda: "halts" not in knowledge.documents(source))
    assert knowledge.search(source, "trading") == []
    asked = agent.get_knowledge_base_documents(**source.ids, documentIdentifiers=custom("birds", "halts"))
    assert [each["status"] for each in asked["documentDetails"]] == ["INDEXED", "NOT_FOUND"]


def test_documents_in_s3_are_sent_by_their_place(knowledge: Knowledge) -> None:
    agent = knowledge.agent
    knowledge.put("sent/a.txt", "A tale of whales.", author="Melville")
    knowledge.put("elsewhere/b.txt", "Nothing.")
    source = knowledge.source("sent/")

    def document(key: str) -> dict[str, Any]:
        return {"content": {"dataSourceType": "S3", "s3": {"s3Location": {"uri": knowledge.uri(key)}}}}

    agent.ingest_knowledge_base_documents(**source.ids, documents=[document("sent/a.txt"), document("sent/gone.txt")])
    states = done(knowledge, source)
    assert states[knowledge.uri("sent/a.txt")] == ("INDEXED", "")
    assert states[knowledge.uri("sent/gone.txt")][0] == "FAILED"
    assert knowledge.search(source, "whales")[0].metadata["author"] == "Melville"
    # The scan finds it as it is, and forgets the one that is not there.
    assert knowledge.ingest(source) == {"DocumentsScanned": 1, "MetadataDocumentsScanned": 1}
    assert list(knowledge.documents(source)) == [knowledge.uri("sent/a.txt")]
    said = refusal(agent.ingest_knowledge_base_documents, **source.ids, documents=[document("elsewhere/b.txt")])[1]
    assert f"is not in the data source, whose documents begin with {knowledge.uri('sent/')}" in said

    by_place = text("tale", "")
    by_place["content"]["custom"] = {
        "customDocumentIdentifier": {"id": "tale"},
        "sourceType": "S3_LOCATION",
        "s3Location": {"uri": knowledge.uri("sent/a.txt")},
    }
    by_place["metadata"] = {
        "type": "S3_LOCATION",
        "s3Location": {"uri": knowledge.uri("sent/a.txt.metadata.json")},
    }
    other = knowledge.custom_source()
    agent.ingest_knowledge_base_documents(**other.ids, documents=[by_place])
    assert done(knowledge, other) == {"tale": ("INDEXED", "")}
    assert knowledge.search(other, "whales")[0].metadata["author"] == "Melville"


def test_a_document_that_cannot_be_read_is_told_alone(knowledge: Knowledge) -> None:
    source = knowledge.custom_source()
    documents = [
        text("good", "A good one."),
        content(
            "broken", b"PK\3\4 and nothing", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        ),
        content("film", b"film", "video/mp4"),
    ]
    knowledge.agent.ingest_knowledge_base_documents(**source.ids, documents=documents)
    states = done(knowledge, source)
    assert states["good"] == ("INDEXED", "")
    assert states["broken"] == (
        "FAILED",
        "document.docx: a broken Word document: File is not a zip file. Save it anew.",
    )
    assert states["film"][0] == "IGNORED"
    # What was indexed before stays to be found until there is something better.
    knowledge.agent.ingest_knowledge_base_documents(**source.ids, documents=[text("good", " ")])
    assert done(knowledge, source)["good"][0] == "FAILED"
    assert [found.text for found in knowledge.search(source, "good")] == ["A good one."]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (text("a", "b") | {"metadata": {"type": "S3_LOCATION"}}, "documents.0.metadata.s3Location: missing"),
        ({"content": {"dataSourceType": "CUSTOM"}}, "documents.0.content.custom: missing"),
        (
            {"content": {"dataSourceType": "S3"}},
            "documents.0.content.dataSourceType: S3, and the data source is of type",
        ),
    ],
)
def test_a_request_that_cannot_be_is_refused_whole(knowledge: Knowledge, document: dict[str, Any], said: str) -> None:
    source = knowledge.custom_source()
    good = text("good", "A good one.")
    code, message = refusal(knowledge.agent.ingest_knowledge_base_documents, **source.ids, documents=[document, good])
    assert (code, said in message) == ("ValidationException", True), message
    assert knowledge.documents(source) == {}
    twice = refusal(knowledge.agent.ingest_knowledge_base_documents, **source.ids, documents=[good, good])
    assert twice[1] == "The document good is named twice. Name each document once."
    assert "there is nothing to scan" in refusal(knowledge.agent.start_ingestion_job, **source.ids)[1]


def zip_bomb(member: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, b"<a>" + b" " * (300 << 20))
    return content.getvalue()


def test_a_hundred_bad_documents_are_named_and_harm_no_other(knowledge: Knowledge, tmp_path: Path) -> None:
    picture = PdfFile(pages=[[], []], pictures={0, 1}).to_bytes()
    kinds: list[tuple[str, bytes, str]] = [
        ("empty.txt", b"", "an empty file"),
        ("blank.md", b" \n \n", "an empty file"),
        ("binary.txt", b"a\0b" * 100, "binary data, not text"),
        ("mojibake.txt", "文字".encode("cp932") * 9, "not UTF-8, perhaps CP932"),
        ("film.mp4", b"film", "not supported (.mp4)"),
        ("nothing", b"text", "not supported (no suffix)"),
        ("renamed.pdf", b"This is text.", "its content is something else"),
        ("renamed.docx", b"%PDF-1.4 broken", "a broken PDF"),
        ("old.doc", b"\xd0\xcf\x11\xe0", "an old Office document, or an encrypted one"),
        ("old.xls", b"\xd0\xcf\x11\xe0", "a broken or encrypted workbook"),
        ("locked.pdf", encrypted_pdf(), "an encrypted PDF, which opens with its password only"),
        ("locked.docx", encrypted_docx(), "an encrypted Office document. Save it without a password"),
        ("locked.xlsx", encrypted_xlsx(), "an encrypted Office document. Save it without a password"),
        ("text.xlsx", b"This is text.", "its content is something else"),
        ("cut.docx", docx(tmp_path / "a.docx", paragraph("hi")).read_bytes()[:200], "a broken Word document"),
        ("picture.pdf", picture, "a PDF of pictures"),
        ("page.html", b"<html><script>1</script></html>", "a page without text"),
        ("rows.csv", b"\n,,\n,\n", "a table without rows"),
        ("entities.docx", docx(tmp_path / "b.docx", "<w:p/>").read_bytes(), "a Word document without text"),
    ]
    for number in range(97):
        name, data, _ = kinds[number % len(kinds)]
        knowledge.put(f"bad/{number:03}-{name}", data)
    knowledge.put("bad/097-bomb.xlsx", zip_bomb("xl/worksheets/sheet1.xml"))
    knowledge.put("bad/098-bomb.docx", zip_bomb("word/document.xml"))
    knowledge.put("bad/099-large.txt", b"a" * 60_000_000)
    for number in range(3):
        knowledge.put(f"bad/good-{number}.txt", f"Good document {number}.")
    knowledge.put("bad/good-3.txt", "Good, but for its metadata.", **{"x-amz-bedrock-kb-chunk-id": "mine"})
    source = knowledge.source("bad/")
    job = knowledge.ended(knowledge.start(source))
    assert job["status"] == "COMPLETE"
    assert job["statistics"]["numberOfDocumentsFailed"] == 101
    assert job["statistics"]["numberOfNewDocumentsIndexed"] == 3
    states = knowledge.documents(source)
    for number in range(97):
        name, _, said = kinds[number % len(kinds)]
        state, reason = states[knowledge.uri(f"bad/{number:03}-{name}")]
        assert (state, said in reason) == ("IGNORED" if "supported" in said else "FAILED", True), (name, reason)
        assert any(told.startswith(knowledge.uri(f"bad/{number:03}-{name}: ")) for told in job["failureReasons"])
    assert "unpacks to more than" in states[knowledge.uri("bad/098-bomb.docx")][1]
    assert "a broken or encrypted workbook" in states[knowledge.uri("bad/097-bomb.xlsx")][1]
    assert "60,000,000 bytes; a document has at most 52,428,800" in states[knowledge.uri("bad/099-large.txt")][1]
    assert "one of Bedrock's own" in states[knowledge.uri("bad/good-3.txt")][1]
    assert len(knowledge.search(source, "good document")) == 3


def test_pages_that_are_pictures_are_told_and_the_others_indexed(knowledge: Knowledge) -> None:
    pages = [column(72, 700, ["A page of words about seals."]), []]
    knowledge.put("half/a.pdf", PdfFile(pages=pages, pictures={1}).to_bytes())
    source = knowledge.source("half/")
    assert knowledge.ingest(source) == {"DocumentsScanned": 1, "NewDocumentsIndexed": 1}
    assert knowledge.documents(source)[knowledge.uri("half/a.pdf")] == (
        "PARTIALLY_INDEXED",
        "Not read: page 2 (only pictures, no text). The rest is indexed.",
    )
    assert knowledge.search(source, "seals")[0].passage.page == 1
    assert knowledge.ingest(source) == {"DocumentsScanned": 1}


@pytest.fixture(scope="module")
def encoding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knowledge]:
    """A house with a real encoder, whose words are few."""
    folder = tiny_encoder(tmp_path_factory.mktemp("encoder") / "vectors")
    with (
        knowledge_house(tmp_path_factory.mktemp("encoding") / "home", encoder=folder) as house,
        encoding_engine(house.house, "local.vectors"),
    ):
        yield house


def test_passages_have_vectors_of_the_width_that_was_asked_for(encoding: Knowledge) -> None:
    encoding.put("v/a.txt", "The old house stands by the river. " * 30)
    encoding.put("v/b.txt", "The sea.")
    for asked, width in ((None, WIDTH), (8, 8)):
        settings = {} if asked is None else {"dimensions": asked}
        model = {"bedrockEmbeddingModelConfiguration": settings}
        configuration = encoding.asked()["knowledgeBaseConfiguration"]
        configuration["vectorKnowledgeBaseConfiguration"]["embeddingModelConfiguration"] = model
        base = encoding.create(knowledgeBaseConfiguration=configuration)
        # NONE: a document of more tokens than the model reads has a vector all the same.
        for chunking in (None, {"chunkingStrategy": "NONE"}):
            source = encoding.source("v/", knowledge_base=base, chunking=chunking)
            assert encoding.ingest(source) == {"DocumentsScanned": 2, "NewDocumentsIndexed": 2}
        row = encoding.house.knowledge_bases.find("us-east-1", base)
        assert row.document["dimensions"] == width
    wide = encoding.asked()["knowledgeBaseConfiguration"]
    wide["vectorKnowledgeBaseConfiguration"]["embeddingModelConfiguration"] = {
        "bedrockEmbeddingModelConfiguration": {"dimensions": 1024}
    }
    said = refusal(encoding.agent.create_knowledge_base, **encoding.asked(knowledgeBaseConfiguration=wide))[1]
    assert said.startswith("dimensions: 1024 are asked for, and the model behind amazon.titan-embed-text-v2:0 makes")


def test_semantic_chunks_are_made_with_vectors(encoding: Knowledge) -> None:
    encoding.put("s/a.txt", "The old house. The old house. The old house. The sea. The sea. Who built it? The sea.")
    chunking = {
        "chunkingStrategy": "SEMANTIC",
        "semanticChunkingConfiguration": {"maxTokens": 50, "bufferSize": 0, "breakpointPercentileThreshold": 60},
    }
    source = encoding.source("s/", chunking=chunking)
    encoding.ingest(source)
    assert encoding.index(source).count_passages() > 1


def test_metadata_that_is_embedded_changes_vectors_and_other_metadata_does_not(encoding: Knowledge) -> None:
    source = encoding.source("m/")
    encoding.put("m/a.txt", "The sea.", topic="river")
    encoding.ingest(source)
    encoding.put("m/a.txt", "The sea.", topic="house")
    assert encoding.ingest(source) == {
        "DocumentsScanned": 1, "MetadataDocumentsScanned": 1, "MetadataDocumentsModified": 1,
    }  # fmt: skip
    value = {"value": {"type": "STRING", "stringValue": "river"}, "includeForEmbedding": True}
    encoding.put("m/a.txt", "The sea.", topic=value)
    assert encoding.ingest(source) == {
        "DocumentsScanned": 1, "MetadataDocumentsScanned": 1, "MetadataDocumentsModified": 1,
        "ModifiedDocumentsIndexed": 1,
    }  # fmt: skip


def test_kills_of_worker_and_server_lose_nothing_and_index_nothing_twice(tmp_path: Path) -> None:
    num_documents, num_kills = 300, 10
    with server_process(tmp_path / "home") as process, House.open(process.settings, SystemClock()) as platform:
        server = Running(settings=process.settings, installation=process.installation, platform=platform)
        house = Knowledge(server=server)
        stand_behind_titan(platform, None)
        platform.buckets.create(BUCKET, "us-east-1")
        for number in range(num_documents):
            platform.buckets.put_bytes(BUCKET, f"k/{number:03}.txt", f"Document {number}. ".encode() * 200)
        source = house.source("k/")
        job = house.start(source)
        row = platform.knowledge_bases.find("us-east-1", source.knowledge_base)
        index = platform.knowledge_indexes.of(row)
        command = [
            sys.executable,
            "-m",
            "outcrop.worker.serve",
            "--home",
            str(process.settings.home),
            "--class",
            "light",
        ]
        for kill in range(num_kills):
            worker = subprocess.Popen(command)
            wanted = min(num_documents - 5, (kill + 1) * 25)
            eventually(partial(lambda least: len(index.records(source.id)) >= least, wanted))
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            if kill % 3 == 0:
                process.kill()
                process.start()
        worker = subprocess.Popen(command)
        try:
            ended = house.ended(job)
        finally:
            worker.terminate()
            worker.wait()
        assert ended["status"] == "COMPLETE"
        statistics = ended["statistics"]
        assert statistics["numberOfNewDocumentsIndexed"] == statistics["numberOfDocumentsScanned"] == num_documents
        assert statistics["numberOfModifiedDocumentsIndexed"] == statistics["numberOfDocumentsFailed"] == 0
        records = index.records(source.id)
        assert [record.key.identifier for record in records] == [house.uri(f"k/{n:03}.txt") for n in range(300)]
        chunk_ids = {found.passage.chunk_id for found in index.search(SearchQuery(text="document", most=10_000))}
        assert len(chunk_ids) == index.count_passages()
