"""The best rows of a search, children of one parent together."""

from collections.abc import Sequence

import numpy as np

from outcrop.knowledge.index.arrays import Mask, Scores, Whole
from outcrop.knowledge.index.searched_rows import SearchedRows

_SPARE = 4
"In hierarchical chunking, rows that are looked at for each one of the answer; more where they are not enough."


def best_rows(rows: SearchedRows, scores: Scores, candidates: Mask, *, most: int) -> list[int]:
    """The best candidates, the best first, equal ones in the order of chunk ids.

    Of the children of one parent only the best is among them.
    """
    chosen = np.flatnonzero(candidates)
    looked_at = most
    while True:
        ordered = _ordered(rows, scores, chosen, most=looked_at)
        found = _one_of_each_parent(rows, ordered)
        if len(found) >= most or len(ordered) == len(chosen):
            return found[:most]
        looked_at *= _SPARE


def _ordered(rows: SearchedRows, scores: Scores, chosen: Whole, *, most: int) -> list[int]:
    if len(chosen) > most:
        least = np.partition(scores[chosen], len(chosen) - most)[len(chosen) - most]
        chosen = chosen[scores[chosen] >= least]  # all that are equal to the last one: chunk ids decide among them
    names = rows.chunk_ids
    return sorted(chosen.tolist(), key=lambda row: (-scores[row], names[row]))[:most]


def _one_of_each_parent(rows: SearchedRows, ordered: Sequence[int]) -> list[int]:
    found, seen = [], set()
    for row in ordered:
        parent = int(rows.parents[row])
        if parent >= 0:
            family = (int(rows.places_of_rows[row]), parent)
            if family in seen:
                continue
            seen.add(family)
        found.append(row)
    return found
