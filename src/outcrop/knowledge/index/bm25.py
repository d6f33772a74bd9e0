"""BM25 over postings: how well the words of passages answer those of a query.

Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond. All that depends on the whole
(how many passages, how long, how many with a term) is counted anew for each query, so an index that grew and shrank
scores as one built at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outcrop.knowledge.index.arrays import Mask, Rows, Scores, Terms64
from outcrop.knowledge.index.postings import Postings

K1 = 1.2
"How soon a term that comes again counts no more."
B = 0.75
"How much a long passage has to make up for."


@dataclass(frozen=True, kw_only=True)
class LexicalScores:
    """Scores of all rows; `most` is what no passage can reach."""

    scores: Scores
    most: float


def score(postings: Sequence[Postings], lengths: Rows, alive: Mask, terms: Sequence[int] | Terms64) -> LexicalScores:
    """The scores of rows for a query's terms; a term that comes twice in the query counts twice."""
    scores = np.zeros(len(lengths), np.float32)
    num_passages = int(np.count_nonzero(alive))
    mean = float(lengths[alive].mean()) if num_passages else 1.0
    norms = (K1 * (1 - B + B * lengths / max(mean, 1.0))).astype(np.float32)
    most, all_alive = 0.0, num_passages == len(alive)
    for term, repeats in zip(*np.unique(np.asarray(terms, np.uint64), return_counts=True), strict=True):
        found = [part.of(term) for part in postings]
        having = sum(len(rows) if all_alive else int(np.count_nonzero(alive[rows])) for rows, _ in found)
        weight = repeats * (K1 + 1) * np.log1p((num_passages - having + 0.5) / (having + 0.5))
        most += weight
        for rows, counts in found:
            times = counts.astype(np.float32)
            scores[rows] += np.float32(weight) * times / (times + norms[rows])
    return LexicalScores(scores=scores, most=float(most))
