"""How far an encoder is trusted, learned from passages that share words."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from outcrop.knowledge.index import searched_rows, strength
from outcrop.knowledge.index.embedded import FILE
from outcrop.knowledge.index.prepared import prepare
from outcrop.knowledge.index.searched_rows import SearchedRows
from outcrop.knowledge.index.sql_storage import SqlStorage
from outcrop.store.database import open_database
from tests.support.passages import document

TOPICS, WIDTH = 40, 16


def rows_of(folder: Path, vectors: Sequence[Sequence[float]]) -> SearchedRows:
    """Passages of forty topics, each with words of its own."""
    texts = [f"topic{number % TOPICS} about{number % TOPICS} told{number}" for number in range(len(vectors))]
    storage = SqlStorage(open_database(f"sqlite:///{folder / FILE}"), dimensions=WIDTH)
    storage.put(prepare(document("a", texts, vectors=vectors), dimensions=WIDTH))
    with storage.moment() as moment:
        rows = searched_rows.read_all(moment, generation=moment.generation(), dimensions=WIDTH)
    storage.close()
    return rows


def test_an_encoder_that_knows_the_topics_is_trusted(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    topics = chance.standard_normal((TOPICS, WIDTH))
    vectors = [topics[number % TOPICS] + 0.1 * chance.standard_normal(WIDTH) for number in range(400)]
    assert strength.strength(rows_of(tmp_path, [each.tolist() for each in vectors])) == 1.0


def test_an_encoder_that_knows_nothing_of_them_is_not(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((400, WIDTH)).tolist()
    assert strength.strength(rows_of(tmp_path, vectors)) == 0.0


def test_equal_vectors_say_nothing(tmp_path: Path) -> None:
    assert strength.strength(rows_of(tmp_path, [[1.0] * WIDTH] * 400)) == 0.0


def test_few_passages_leave_an_encoder_its_trust(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((strength.FEWEST - 1, WIDTH)).tolist()
    assert strength.strength(rows_of(tmp_path, vectors)) == 1.0
