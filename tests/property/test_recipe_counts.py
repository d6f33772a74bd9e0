"""Laws of every recipe's output: nothing is lost, and the parts share neither a record nor a group."""

import json
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.recipes.output_folder import LEFT_OUT
from outcrop.recipes.recipe import Dropped, Item, Kept, RecipeRun
from outcrop.recipes.split import EVERYTHING, PartSizes, Share
from outcrop.recipes.writing import write

TEXTS = st.text(max_size=3)
SHARES = st.builds(Share, count=st.integers(0, 3)) | st.builds(
    Share, percent=st.floats(0, 30), count=st.none() | st.just(4)
)
TRAIN = st.just(EVERYTHING) | st.builds(Share, count=st.integers(1, 30))
ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(
        lambda prompt, completion, group: Kept(
            record={"prompt": prompt, "completion": completion}, group=group, origin="file:1", fields={"group": group}
        ),
        st.text("ab ", min_size=1, max_size=3),
        st.text("ab ", min_size=1, max_size=3),
        st.sampled_from("abcdefgh") | TEXTS,
    ),
    st.builds(Dropped, origin=st.just("file:2"), reason=TEXTS, detail=TEXTS),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    items=st.lists(ITEMS, min_size=8, max_size=40),
    sizes=st.builds(PartSizes, train=TRAIN, validation=SHARES, test=SHARES),
    seed=st.integers(),
)
def test_in_is_kept_and_left_out_and_parts_share_nothing(items: list[Item], sizes: PartSizes, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        try:
            card = write(RecipeRun(recipe="toy", rule="", sources=[]), items, out, split=sizes, seed=seed)
        except Invalid:
            event("refused")
            assert not out.exists()
            return
        left_out = (out / LEFT_OUT).read_text("utf-8").split("\n")[:-1]
        parts = [path.read_text("utf-8").split("\n")[:-1] for path in out.glob("[tv]*.jsonl")]
    records = [json.loads(line) for part in parts for line in part]
    assert len(items) == card.num_in == len(records) + len(left_out)
    assert (card.num_kept, card.num_left_out) == (len(records), len(left_out))
    assert Counter(json.loads(line)["reason"] for line in left_out) == card.reasons
    said = [json.dumps(record) for record in records]
    assert len(set(said)) == len(said)
    groups = [{groups_of(items)[line] for line in map(canonical, part)} for part in parts]
    assert sum(map(len, groups)) == len(set().union(*groups))


def groups_of(items: list[Item]) -> dict[str, str]:
    """The group of each record; of one that comes twice, the first one's."""
    found: dict[str, str] = {}
    for item in items:
        if isinstance(item, Kept):
            found.setdefault(json.dumps(item.record), item.group)
    return found


def canonical(line: str) -> str:
    return json.dumps(json.loads(line))
