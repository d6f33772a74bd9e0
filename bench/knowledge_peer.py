"""The peer's process in `make bench-knowledge`: LangChain's retrievers over faiss and rank_bm25.

Runs in the peer's environment with a folder of passages, questions and the vectors of both, and answers with one line
of JSON: median milliseconds of a search by words and by both, the memory that the retrievers took, and what they found.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_classic.retrievers import EnsembleRetriever  # type: ignore[import-not-found]
from langchain_community.retrievers import BM25Retriever  # type: ignore[import-not-found]
from langchain_community.vectorstores import FAISS  # type: ignore[import-not-found]
from langchain_core.embeddings import Embeddings


class Kept(Embeddings):  # type: ignore[misc]
    """An encoder that was asked before."""

    def __init__(self, vectors: dict[str, Any]) -> None:
        self._vectors = vectors

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return list(self._vectors[text])


def main() -> None:
    folder = Path(sys.argv[1])
    texts = json.loads((folder / "texts.json").read_text())
    passages, questions = texts["passages"], texts["questions"]
    of_passages = np.load(folder / "passages.npy")
    of_questions = dict(zip(questions, np.load(folder / "questions.npy").tolist(), strict=True))
    before = resident_bytes()
    most = texts["most"]
    # Of equal passages each is one: they are told apart by their numbers, where the ensemble looks for them.
    numbers = [{"number": number} for number in range(len(passages))]
    words = BM25Retriever.from_texts(passages, metadatas=numbers)
    words.k = most
    pairs = list(zip(passages, of_passages, strict=True))
    sense = FAISS.from_embeddings(pairs, Kept(of_questions), metadatas=numbers)
    took = resident_bytes() - before
    both = EnsembleRetriever(retrievers=[words, sense.as_retriever(search_kwargs={"k": most})], weights=[0.5, 0.5])
    told = {
        "words": milliseconds(words.invoke, questions),
        "fused": milliseconds(both.invoke, questions),
        "bytes": took,
        "found": [[each.metadata["number"] for each in both.invoke(text)] for text in questions],
    }
    print(json.dumps(told))


def milliseconds(search: Callable[[str], object], questions: Sequence[str]) -> float:
    taken = []
    for text in questions:
        started = time.perf_counter()
        search(text)
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


if __name__ == "__main__":
    main()
