"""Fusion: one score out of what the words and the vectors say."""

import numpy as np

from outcrop.knowledge.index.arrays import Mask, Scores
from outcrop.knowledge.index.bm25 import LexicalScores

LEXICAL_SHARE = 0.6


def lexical_alone(lexical: LexicalScores) -> Scores:
    """Scores from 0 to 1: the share of what a passage could reach."""
    return lexical.scores / np.float32(lexical.most or 1.0)


def dense_alone(cosines: Scores) -> Scores:
    """Scores from 0 to 1 in the order of cosines; 0.5 for two that have nothing in common."""
    halves: Scores = np.clip((1 + cosines) / 2, 0, 1)
    return halves


def fuse(lexical: LexicalScores, cosines: Scores, allowed: Mask) -> Scores:
    """Scores from 0 to 1 of both arms together."""
    words = lexical.scores / np.float32(max(float(lexical.scores[allowed].max(initial=0)), 1e-9))
    cosines = np.clip(cosines, 0, 1)
    sense = cosines / np.float32(max(float(cosines[allowed].max(initial=0)), 1e-9))
    return np.clip(LEXICAL_SHARE * words + (1 - LEXICAL_SHARE) * sense, 0, 1)
