"""An index after any puts, notes and removals answers as one that was built at once."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outcrop.knowledge import filters
from outcrop.knowledge.index import searched_rows
from outcrop.knowledge.index.embedded import EmbeddedIndex
from outcrop.knowledge.passage_index import SearchQuery, SearchType
from outcrop.knowledge.passages import DocumentKey, IndexedDocument
from tests.support.passages import document, key, record

NAMES = st.sampled_from(["a", "b", "c", "d"])
TEXTS = st.lists(
    st.sampled_from(["broker", "dealer register", "trade trade", "日本の首都", "", "broker trade 日本"]), max_size=4
)
VECTORS = st.sampled_from([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.6, 0.8], [0.0, 0.0]])


@st.composite
def documents(draw: st.DrawFn) -> IndexedDocument:
    texts = draw(TEXTS)
    size = len(texts)
    parents = ["first", "second"]
    return document(
        draw(NAMES),
        texts,
        metadata={"n": draw(st.integers(0, 2))},
        vectors=draw(st.none() | st.lists(VECTORS, min_size=size, max_size=size)),
        parents=parents,
        parent_of=draw(st.lists(st.sampled_from([None, 0, 1]), min_size=size, max_size=size)),
    )


CHANGES = st.lists(
    st.tuples(st.just("put"), documents())
    | st.tuples(st.just("remove"), NAMES)
    | st.tuples(st.just("note"), st.tuples(NAMES, st.integers(0, 2))),
    max_size=12,
)
QUERIES = [
    SearchQuery(text=text, vector=vector, most=most, search_type=kind, filter=where)
    for text in ("broker trade", "日本の首都はどこ")
    for vector in (None, [0.8, 0.6])
    for kind in SearchType
    for most, where in ((2, None), (100, filters.read({"equals": {"key": "n", "value": 1}}, at="filter")))
]


@pytest.mark.parametrize("few_dead", [0, searched_rows.FEW_DEAD])
@given(changes=CHANGES)
def test_any_changes_leave_what_building_anew_makes(few_dead: int, changes: Sequence[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(searched_rows, "FEW_DEAD", few_dead)
        grown = EmbeddedIndex(Path(folder) / "grown", dimensions=2)
        kept: dict[DocumentKey, IndexedDocument] = {}
        for change, about in changes:
            _change(grown, kept, change, about)
            grown.search(QUERIES[-1])  # so that each change is followed by itself
        anew = EmbeddedIndex(Path(folder) / "anew", dimensions=2)
        for each in kept.values():
            anew.put(each)

        assert grown.count_passages() == anew.count_passages()
        for query in QUERIES:
            assert _told(grown, query) == _told(anew, query)
        for index in (grown, anew):
            index.close()


def _change(index: EmbeddedIndex, kept: dict[DocumentKey, IndexedDocument], change: str, about: Any) -> None:
    if change == "put":
        index.put(about)
        kept[about.record.key] = about
    elif change == "remove":
        index.remove([key(about)])
        kept.pop(key(about), None)
    else:
        name, number = about
        noted = record(name, metadata={"n": number})
        index.note([noted])
        before = kept.get(noted.key, document(name, []))
        kept[noted.key] = replace(before, record=noted)


def _told(index: EmbeddedIndex, query: SearchQuery) -> list[tuple[Any, ...]]:
    return [
        (found.passage.chunk_id, found.text, found.metadata, pytest.approx(found.score, abs=1e-6))
        for found in index.search(query)
    ]
