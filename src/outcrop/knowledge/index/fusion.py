"""Fusion: one score out of what the words and the vectors say of each passage.

Equal weights are as bad as the worse arm is: where a question is in the words of the text, vectors spoil what the words
have found, and where it is not, words are noise. So the words are asked first how sure they are. Both scores are shares
of what could be reached, alike for every query and encoder: of the words, the share of the query's information that a
passage has; of the vectors, how far a cosine stands between that of an average passage and 1.
"""

import math

import numpy as np

from outcrop.knowledge.index.arrays import Mask, Scores
from outcrop.knowledge.index.bm25 import LexicalScores

SENSE = 2.0
"Weight of the vectors beside the words, where the words have found nothing to be sure of."
SURE_OF_WORDS, SURE_OF_PAIRS = 0.35, 0.25
"""Evidence from which on words alone decide. Pairs of characters meet in part where words would not: less is enough.

Evidence is the share of the query's information in the best passage, and what its prominence adds."""
UNSURE = 0.15
"How much less evidence leaves the vectors their whole weight."
PROMINENCE = 0.2
"How much it says that the best passage stands out from the tenth."
_TENTH = 10
_MOST_PROMINENT = 8.0


def lexical_alone(lexical: LexicalScores) -> Scores:
    """Scores from 0 to 1: the share of the query's information that a passage has."""
    return lexical.scores / np.float32(lexical.most or 1.0)


def dense_alone(cosines: Scores) -> Scores:
    """Scores from 0 to 1 in the order of cosines; 0.5 for two that have nothing in common."""
    halves: Scores = np.clip((1 + cosines) / 2, 0, 1)
    return halves


def fuse(
    lexical: LexicalScores, cosines: Scores, allowed: Mask, embedded: Mask, *, pairs: float, strength: float
) -> Scores:
    """Scores from 0 to 1 of both arms together, for the rows that may be found.

    `embedded`: those that have a vector. `pairs`: the share of the query that is read in pairs of characters.
    `strength`: how far this encoder is to be trusted on this text, from 0 to 1.
    """
    words = lexical_alone(lexical)
    weight = SENSE * strength * (1 - sureness(words[allowed], pairs=pairs))
    sense = np.float32(weight) * _over_average(cosines, allowed & embedded)
    return np.divide(words + sense, np.float32(1 + weight), dtype=np.float32)


def sureness(words: Scores, *, pairs: float) -> float:
    """How sure it is, from 0 to 1, that the passage with the most of the query's words answers it."""
    if not len(words) or not words.max():
        return 0.0
    best = float(words.max())
    place = max(1, min(_TENTH, len(words) // 3))
    tenth = float(np.partition(words, len(words) - place)[len(words) - place])
    prominence = min(best / tenth, _MOST_PROMINENT) if tenth else _MOST_PROMINENT
    # Of a passage that has hardly any of the query, standing out says little: the others have none at all.
    evidence = best + min(PROMINENCE * math.log(prominence), best)
    sure = SURE_OF_WORDS + pairs * (SURE_OF_PAIRS - SURE_OF_WORDS)
    return min(max(1 - (sure - evidence) / UNSURE, 0.0), 1.0)


def _over_average(cosines: Scores, compared: Mask) -> Scores:
    # Rounded, or passages that are equal would come in the order of the rows that were summed.
    average = round(float(cosines[compared].mean(dtype=np.float64)), 6) if compared.any() else 0.0
    over: Scores = np.clip((cosines - np.float32(average)) / np.float32(max(1 - average, 1e-6)), 0, 1)
    over[~compared] = 0
    return over
