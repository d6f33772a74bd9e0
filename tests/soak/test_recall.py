"""What the fused search finds on the law in a user's other words, with a real encoder; minutes for its vectors."""

import pytest

from bench.knowledge import recall
from bench.knowledge_sets import recall_sets
from tests.support.sample_data import TEST_DATA, sample

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("name", ["law, other words", "law, its own words"])
def test_the_fused_search_is_no_worse_than_its_better_arm(name: str) -> None:
    sample("us-securities-law")
    [asked] = [each for each in recall_sets(TEST_DATA) if each.name == name]
    rows, notes = recall(asked, ["minilm"])
    assert [row.name for row in rows if not row.met] == [], notes
