"""`make bench-knowledge DATA`: what the index of a knowledge base finds, how fast, and in how much memory.

Recall on public sets with several encoders, where the fused search is held against the better of its two arms; time
over 10,000 and 100,000 passages, and of a new process's first search; and the ingestion of 1,000 pages of PDF. The peer
is LangChain's EnsembleRetriever over faiss and rank_bm25, on the same passages and vectors, in its own environment.
Encoders' own time is in no figure. Whatever cannot be measured here is told below the table, and the rest goes on.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil

from bench import knowledge_ingestion as ingestion
from bench.knowledge_sets import ENCODERS, WORK, Matrix, Question, RecallSet, SetPassage, recall_sets, vectors
from bench.measuring import ROOT, Row, environment, higher_is_better, lower_is_better, report, seconds
from outcrop.knowledge.index.embedded import EmbeddedIndex
from outcrop.knowledge.passage_index import SearchQuery, SearchType
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState, IndexedDocument, Passage

PEER = ["langchain-community==0.4.2", "langchain-classic", "faiss-cpu==1.15.1", "rank_bm25==0.2.2", "numpy"]
AT = (1, 5, 10)
MOST_MS = {(10_000, "words"): 15.0, (10_000, "fused"): 25.0, (100_000, "words"): 60.0, (100_000, "fused"): 60.0}
MUST = {"jsquad": (90.0, 96.8), "law, its own words": (96.7, 100.0)}
OTHER_WORDS = "law, other words"
"Where the fused search must find twice as much as the lexical arm among five."
_DOCUMENT = 100
"Passages of each document of the large indexes."
_WIDTH = 384
_QUERIES, _FEW = 100, 10_000
"Questions that are timed, a fifth of them over more passages than that: the peer takes seconds for each."

Measured: TypeAlias = tuple[list[Row], list[str]]
"Rows, and notes below the table."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder of test data")
    parser.add_argument("--sizes", nargs="*", type=int, default=[10_000, 100_000], choices=[10_000, 100_000])
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--sets", nargs="*", help="names of sets; all, if nothing is said")
    parser.add_argument("--only", choices=["recall", "time", "ingestion"], help="one part of it")
    given = parser.parse_args()
    sets = [each for each in recall_sets(given.data) if not given.sets or each.name in given.sets]
    rows: list[Row] = []
    notes: list[str] = []
    steps: list[tuple[str, Callable[[], Measured]]] = []
    if given.only in (None, "recall"):
        steps += [(f"recall, {each.name}", partial(recall, each, given.encoders)) for each in sets]
        steps += [
            (f"recall beside LangChain, {each.name}", partial(recall_beside_peer, each))
            for each in sets
            if each.corpus == "law" and "minilm" in given.encoders
        ]
    if given.only in (None, "time"):
        steps += [(f"{size:,} passages", partial(times, sets[-1], size)) for size in given.sizes]
    if given.only in (None, "ingestion"):
        steps.append(("ingestion", partial(ingestion.pages, sets[-1])))
    for name, measure in steps:
        print(f"{time.strftime('%H:%M:%S')} {name}", file=sys.stderr)
        try:
            found, told = measure()
        except (subprocess.CalledProcessError, OSError, ImportError, MemoryError) as error:
            found, told = [], [f"Not measured: {name}: {error}"]
        rows += found
        notes += told
    report("knowledge", rows, notes)


def recall(about: RecallSet, encoders: Sequence[str]) -> Measured:
    """What the fused search finds with each encoder, beside the better of its arms; and all figures as notes."""
    rows: list[Row] = []
    notes: list[str] = []
    for encoder in encoders:
        name = ENCODERS[encoder]
        texts = [each.searched_text for each in about.passages]
        of_passages = vectors(encoder, texts, kind="passage", place=f"{about.corpus}-passages")
        place = f"{about.name.replace(', ', '-').replace(' ', '-')}-questions"
        of_questions = vectors(encoder, [each.text for each in about.questions], kind="query", place=place)
        with index_of(about.passages, of_passages) as index:
            words = recalled(index, about.questions, None, SearchType.HYBRID)
            sense = recalled(index, about.questions, of_questions, SearchType.SEMANTIC)
            fused = recalled(index, about.questions, of_questions, SearchType.HYBRID)
        rows += judged(about.name, name, words, sense, fused)
        told = " / ".join(" ".join(f"{share:.1f}" for share in shares) for shares in (words, sense, fused))
        notes.append(f"{about.name}, {name}: recall at 1, 5, 10 of the words / the vectors / both: {told}.")
    return rows, notes


def recall_beside_peer(about: RecallSet) -> Measured:
    """Shares of the questions that are answered among as many passages as LangChain gives, with the same vectors."""
    texts = [each.searched_text for each in about.passages]
    of_passages = vectors("minilm", texts, kind="passage", place=f"{about.corpus}-passages")
    place = f"{about.name.replace(', ', '-').replace(' ', '-')}-questions"
    of_questions = vectors("minilm", [each.text for each in about.questions], kind="query", place=place)
    asked = [each.text for each in about.questions]
    found = peer(about.passages, of_passages, asked, of_questions, most=max(AT))["found"]
    theirs = [
        100 * statistics.mean(
            any(about.passages[number].owner in question.owners for number in numbers[:most])
            for question, numbers in zip(about.questions, found, strict=True)
        )
        for most in AT
    ]  # fmt: skip
    with index_of(about.passages, of_passages) as index:
        ours = recalled(index, about.questions, of_questions, SearchType.HYBRID)
    rows = [
        higher_is_better(
            f"{about.name}, MiniLM: recall@{most}, beside LangChain", ours=own, peer=their, unit="%", goal=1
        )
        for most, own, their in zip(AT, ours, theirs, strict=True)
    ]
    return rows, []


def judged(
    about: str, encoder: str, words: Sequence[float], sense: Sequence[float], fused: Sequence[float]
) -> Iterator[Row]:
    """The rows of one encoder: at 1 and 5 beside the better arm, and beside what is asked of the set."""
    for number in (0, 1):
        what = f"{about}, {encoder}: recall@{AT[number]}"
        best = max(words[number], sense[number])
        yield higher_is_better(f"{what}, beside the better arm", ours=fused[number], peer=best, unit="%", goal=1)
        if about in MUST:
            must = MUST[about][number]
            yield higher_is_better(f"{what}, beside the goal", ours=fused[number], peer=must, unit="%", goal=1)
    if about == OTHER_WORDS:
        what = f"{about}, {encoder}: recall@5, beside the words alone"
        yield higher_is_better(what, ours=fused[1], peer=words[1], unit="%", goal=2)


def recalled(
    index: EmbeddedIndex, questions: Sequence[Question], of_questions: Matrix | None, kind: SearchType
) -> list[float]:
    """Shares of the questions, in per cent, for which an answering passage is among the first of `AT`."""
    places = []
    for number, question in enumerate(questions):
        vector = None if of_questions is None else of_questions[number].tolist()
        found = index.search(SearchQuery(text=question.text, vector=vector, most=max(AT), search_type=kind))
        hits = [place for place, each in enumerate(found) if each.document.identifier in question.owners]
        places.append(hits[0] if hits else max(AT))
    return [100 * statistics.mean(place < most for place in places) for most in AT]


def times(about: RecallSet, size: int) -> Measured:
    """The median time of a search over very many passages, beside the goal and the peer; and the memory it takes.

    And that of the first search of a new process, which maps what another has read, beside reading everything.
    """
    passages, of_passages = many(about, size)
    questions = [each.text for each in about.questions[: _QUERIES if size <= _FEW else _QUERIES // 5]]
    chance = np.random.default_rng(1)
    of_questions = unit(chance.standard_normal((len(questions), _WIDTH)))
    rows = []
    peers = peer(passages, of_passages, questions, of_questions)
    with index_folder() as folder, filled(folder, passages, of_passages) as index:
        before = psutil.Process().memory_info().rss
        fused = SearchQuery(text=questions[0], vector=of_questions[0].tolist(), most=5)
        reads_all = seconds(lambda: index.search(fused))
        held = psutil.Process().memory_info().rss - before
        for kind, of in (("words", None), ("fused", of_questions)):
            ours = milliseconds(index, questions, of)
            name = f"a search over {size:,} passages, {kind}"
            rows.append(
                lower_is_better(f"{name}, beside the goal", ours=ours, peer=MOST_MS[size, kind], unit="ms", goal=1)
            )
            rows.append(lower_is_better(f"{name}, beside LangChain", ours=ours, peer=peers[kind], unit="ms", goal=1))
        index.close()
        rows.append(lower_is_better(
            f"first search of a new process over {size:,} passages, beside reading all of them",
            ours=first_search(folder, fused), peer=reads_all, unit="s", goal=1,
        ))  # fmt: skip
    unit_name = "MB"
    rows.append(
        lower_is_better(
            f"memory of a searching process over {size:,} passages, beside LangChain",
            ours=held / 1e6, peer=peers["bytes"] / 1e6, unit=unit_name, goal=1,
        )
    )  # fmt: skip
    return rows, []


def first_search(folder: Path, query: SearchQuery) -> float:
    """The seconds of a search in an index that is opened anew, with the snapshot that another has left."""
    opened = EmbeddedIndex(folder, dimensions=_WIDTH)
    taken = seconds(lambda: opened.search(query))
    opened.close()
    return taken


def milliseconds(index: EmbeddedIndex, questions: Sequence[str], of_questions: Matrix | None) -> float:
    taken = []
    for number, text in enumerate(questions):
        vector = None if of_questions is None else of_questions[number].tolist()
        query = SearchQuery(text=text, vector=vector, most=5)
        started = time.perf_counter()
        index.search(query)
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def peer(
    passages: Sequence[SetPassage], of_passages: Matrix, questions: Sequence[str], of_questions: Matrix, most: int = 5
) -> Any:
    """The peer's median milliseconds by the same names, the memory that it took, and the passages it found."""
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        texts = {"passages": [each.searched_text for each in passages], "questions": list(questions), "most": most}
        (Path(folder) / "texts.json").write_text(json.dumps(texts))
        np.save(Path(folder) / "passages.npy", of_passages)
        np.save(Path(folder) / "questions.npy", of_questions)
        program = [str(environment("langchain", PEER)), "-m", "bench.knowledge_peer", folder]
        told = subprocess.run(program, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    return json.loads(told.stdout.splitlines()[-1])


def many(about: RecallSet, size: int) -> tuple[list[SetPassage], Matrix]:
    """As many passages of a set's own sentences, mixed anew, and as many vectors."""
    chance = random.Random(0)
    sentences = [line for each in about.passages for line in each.text.split("\n") if line]
    passages = [
        SetPassage(owner=str(number // _DOCUMENT), heading="", text="\n".join(chance.sample(sentences, 3)))
        for number in range(size)
    ]
    return passages, unit(np.random.default_rng(0).standard_normal((size, _WIDTH)))


def unit(values: "np.ndarray[Any, np.dtype[np.float64]]") -> Matrix:
    found: Matrix = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return found


@contextmanager
def index_of(passages: Sequence[SetPassage], of_passages: Matrix) -> Iterator[EmbeddedIndex]:
    """An index of these passages, by the owners' names."""
    with index_folder() as folder, filled(folder, passages, of_passages) as index:
        yield index


@contextmanager
def index_folder() -> Iterator[Path]:
    """A folder for an index, which goes with it."""
    WORK.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        yield Path(folder)


@contextmanager
def filled(folder: Path, passages: Sequence[SetPassage], of_passages: Matrix) -> Iterator[EmbeddedIndex]:
    """An index in a folder with these passages."""
    index = EmbeddedIndex(folder, dimensions=of_passages.shape[1])
    by_owner: dict[str, list[int]] = {}
    for number, each in enumerate(passages):
        by_owner.setdefault(each.owner, []).append(number)
    for owner, numbers in by_owner.items():
        index.put(document(owner, [(n, passages[n]) for n in numbers], of_passages))
    yield index
    index.close()


def document(owner: str, parts: Sequence[tuple[int, SetPassage]], of_passages: Matrix) -> IndexedDocument:
    passages = [
        Passage(chunk_id=f"{number:07}", text=each.text, headings=(each.heading,), start=0, end=len(each.text))
        for number, each in parts
    ]
    record = DocumentRecord(key=DocumentKey("BENCH", owner), state=DocumentState.INDEXED, updated=0.0)
    found = [of_passages[number].tolist() for number, _ in parts]
    return IndexedDocument(record=record, passages=passages, vectors=found)


if __name__ == "__main__":
    main()
