"""The arms of a search, words and vectors: which of them answer a query, and with what scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outcrop.knowledge.index import fusion
from outcrop.knowledge.index.arrays import Mask, Scores
from outcrop.knowledge.index.prepared import unit
from outcrop.knowledge.index.searched_rows import SearchedRows
from outcrop.knowledge.index.strength import LearnedStrength
from outcrop.knowledge.index.terms import number_of, share_in_pairs, terms_of
from outcrop.knowledge.passage_index import SearchQuery, SearchType


@dataclass(frozen=True, kw_only=True)
class ScoredRows:
    """The scores of all rows, from 0 to 1, and which of them answer at all."""

    scores: Scores
    candidates: Mask


def score(rows: SearchedRows, query: SearchQuery, strength: LearnedStrength) -> ScoredRows:
    """Scores of the rows that a query's filter lets be found.

    Words stand in where there are no vectors, or the query's has no direction. Raises Invalid for one of another width.
    """
    allowed = rows.allowed(query.filter)
    vector = None if query.vector is None else _direction(query.vector, rows)
    if not (rows.alive & rows.embedded).any():
        vector = None
    if vector is not None and query.search_type is SearchType.SEMANTIC:
        return ScoredRows(scores=fusion.dense_alone(rows.dense(vector)), candidates=allowed & rows.embedded)
    lexical = rows.lexical([number_of(term) for term in terms_of(query.text)])
    worded = lexical.scores > 0
    if vector is None:
        return ScoredRows(scores=fusion.lexical_alone(lexical), candidates=allowed & worded)
    trust = {"pairs": share_in_pairs(query.text), "strength": strength.of(rows)}
    fused = fusion.fuse(lexical, rows.dense(vector), allowed, rows.embedded, **trust)
    return ScoredRows(scores=fused, candidates=allowed & (worded | rows.embedded))


def _direction(vector: Sequence[float], rows: SearchedRows) -> Scores | None:
    direction = unit(vector, rows.dimensions, at="the query")
    return direction if np.any(direction) else None
