"""How far an encoder is to be trusted on a knowledge base's own text, learned from its passages alone.

A passage and those that share most of its words are about the same thing. An encoder that knows the language puts
their vectors close together; one that does not, no closer than others. No question is needed, and no encoder is asked.
"""

import zlib

import numpy as np

from outcrop.knowledge.index import bm25, postings
from outcrop.knowledge.index.arrays import Whole
from outcrop.knowledge.index.searched_rows import SearchedRows

FEWEST = 200
"Passages that are enough to learn from; fewer say nothing, and the encoder is trusted."
_SEEN, _ASKED, _NEIGHBOURS = 1_000, 96, 5
WEAK, STRONG = 1.7, 2.2
"Mean distances of neighbours from the average, in standard deviations, of encoders not to be trusted and to be."


class LearnedStrength:
    """The trust in an index's encoder, learned at the first search.

    It is learned anew when the passages have doubled or halved.
    """

    def __init__(self) -> None:
        self.learned: tuple[int, float] | None = None
        "The passages then, and the trust."

    def of(self, rows: SearchedRows) -> float:
        """How far the vectors are to be trusted, from 0 to 1."""
        known, count = self.learned, int(np.count_nonzero(rows.alive))
        if known is None or not known[0] / 2 <= count <= known[0] * 2:
            known = self.learned = (count, strength(rows))
        return known[1]


def strength(rows: SearchedRows) -> float:
    """How far the vectors are to be trusted, from 0 to 1."""
    usable = np.flatnonzero(rows.alive & rows.embedded)
    if len(usable) < FEWEST:
        return 1.0
    # By a digest of their names, so that an index that grew learns from the passages that one built at once does.
    names = rows.chunk_ids.tolist()
    seen = sorted(usable.tolist(), key=lambda row: (zlib.crc32(names[row]), names[row]))[:_SEEN]
    return float(np.clip((closeness(rows, np.array(seen)) - WEAK) / (STRONG - WEAK), 0, 1))


def closeness(rows: SearchedRows, seen: Whole) -> float:
    """How close the vectors of passages with the same words are, in standard deviations over the average.

    Of the rows `seen`, the first are asked for, and their neighbours by words are looked for among all of them.
    """
    selected = postings.select([each.postings for each in rows.segments], seen, num_rows=len(rows.alive))
    lengths, everyone = rows.lengths[seen], np.ones(len(seen), np.bool_)
    vectors = rows.vectors_of(seen)
    found = []
    for row, terms in enumerate(selected.terms_by_row(len(seen))[:_ASKED]):
        words = bm25.score([selected], lengths, everyone, terms).scores
        words[row] = -1  # itself
        others = np.delete(vectors @ vectors[row], row)
        neighbours = np.argsort(-words, kind="stable")[:_NEIGHBOURS]
        close = (vectors[neighbours] @ vectors[row]).mean()
        found.append((close - others.mean()) / max(float(others.std()), 1e-6))
    return float(np.mean(found))
