"""Kept beginnings: found by their tokens, the least recently used let go first, and number for number what was read."""

import torch

from outcrop.inference.cache_pool import CachePool, CacheRow, LayerShape
from outcrop.inference.prefix_cache import BLOCK, PrefixCache, PrefixSpace, num_common

LAYERS = [LayerShape(2, 3, 5), LayerShape(1, 4, 2)]  # of different widths, as some networks have them
POSITION_BYTES = 4 * (2 * 8 + 1 * 6)
BASE = PrefixSpace(None, (), None)
MANY = 10**9


def filled(*, row: int = 1) -> CacheRow:
    """A row of random numbers, beside others."""
    pool = CachePool(8 * BLOCK, LAYERS, torch.empty(0))
    pool.resize(3)
    slots = [pool.take() for _ in range(3)]
    for x_RSKD in [*pool.k_RSKD, *pool.v_RSKD]:
        x_RSKD.copy_(torch.randn(x_RSKD.shape, generator=torch.Generator().manual_seed(0)))
    return slots[row]


def prefixes() -> PrefixCache:
    return PrefixCache(LAYERS, like=torch.empty(0), position_bytes=POSITION_BYTES)


def kept(cache: PrefixCache, ids: list[int], *, most_blocks: int = 100, space: PrefixSpace = BASE) -> None:
    slot = filled()
    slot.length = len(ids)
    cache.keep(space, ids, slot, most_bytes=most_blocks * BLOCK * POSITION_BYTES)


def test_what_is_recalled_is_what_was_kept() -> None:
    one, source, slot = prefixes(), filled(), filled(row=2)
    ids = list(range(3 * BLOCK + 5))
    one.keep(BASE, ids, source, most_bytes=MANY)
    for x_RSKD in [*slot.shelf.k_RSKD, *slot.shelf.v_RSKD]:
        x_RSKD.zero_()
    one.recall(BASE, [*ids[: 2 * BLOCK + 7], -1], slot)
    assert slot.length == 2 * BLOCK
    for theirs, ours in ((source.shelf.k_RSKD, slot.shelf.k_RSKD), (source.shelf.v_RSKD, slot.shelf.v_RSKD)):
        for from_RSKD, to_RSKD in zip(theirs, ours, strict=True):
            assert torch.equal(to_RSKD[slot.row, : 2 * BLOCK], from_RSKD[source.row, : 2 * BLOCK])
            assert not to_RSKD[slot.row, 2 * BLOCK :].any()


def test_equal_beginnings_are_kept_once() -> None:
    one = prefixes()
    common = list(range(2 * BLOCK))
    for tail in (1, 2, 1):
        kept(one, common + [tail] * BLOCK)
    assert one.size_bytes == 4 * BLOCK * POSITION_BYTES


def test_only_whole_blocks_after_equal_ones_count() -> None:
    one = prefixes()
    kept(one, list(range(3 * BLOCK)))
    assert one.num_tokens(BASE, list(range(2 * BLOCK + 1))) == 2 * BLOCK
    assert one.num_tokens(BASE, [9, *range(1, 3 * BLOCK)]) == 0
    assert one.num_tokens(BASE, list(range(BLOCK, 3 * BLOCK))) == 0


def test_what_was_used_last_is_let_go_last_and_always_from_its_end() -> None:
    one = prefixes()
    old, new = list(range(3 * BLOCK)), list(range(1000, 1000 + 3 * BLOCK))
    kept(one, old)
    kept(one, new)
    one.recall(BASE, old, filled())
    one.shrink(4 * BLOCK * POSITION_BYTES)
    assert (one.num_tokens(BASE, old), one.num_tokens(BASE, new)) == (3 * BLOCK, BLOCK)
    one.shrink(2 * BLOCK * POSITION_BYTES)
    assert (one.num_tokens(BASE, old), one.num_tokens(BASE, new)) == (2 * BLOCK, 0)


def test_no_more_is_kept_than_there_is_room_for() -> None:
    one = prefixes()
    kept(one, list(range(5 * BLOCK)), most_blocks=2)
    assert one.num_tokens(BASE, list(range(5 * BLOCK))) == 2 * BLOCK
    # one that goes on after a kept beginning does not push that out
    kept(one, [*range(2 * BLOCK), *[7] * BLOCK], most_blocks=2)
    assert one.num_tokens(BASE, list(range(5 * BLOCK))) == 2 * BLOCK
    kept(one, list(range(900, 900 + BLOCK)), most_blocks=2)
    assert one.num_tokens(BASE, list(range(5 * BLOCK))) == BLOCK
    kept(one, list(range(5 * BLOCK)), most_blocks=0)
    assert one.size_bytes == 0


def test_adapters_share_nothing_and_are_forgotten_alone() -> None:
    one = prefixes()
    mine, ids = PrefixSpace("mine#1", (), None), list(range(BLOCK))
    kept(one, ids)
    assert one.num_tokens(mine, ids) == 0
    kept(one, ids, space=mine)
    one.forget("mine#1")
    assert (one.num_tokens(mine, ids), one.num_tokens(BASE, ids)) == (0, BLOCK)


def test_the_common_beginning_of_two_lists_ends_at_the_first_difference() -> None:
    ids = list(range(100))
    for length in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 99, 100):
        assert num_common(ids, ids[:length]) == length
        assert num_common([*ids[:length], -1], ids) == length
