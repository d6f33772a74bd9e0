import psutil
import pytest
import torch

from outcrop.inference.cache_pool import CachePool, CacheRow, LayerShape
from outcrop.inference.kv_cache import SHORTEST_ROW, KVCache
from outcrop.inference.prefix_cache import BLOCK
from outcrop.inference.request import EngineRequest, Sampling
from outcrop.inference.scheduler import Scheduler, StepLimits

ROW = SHORTEST_ROW
BYTES_PER_POSITION = 2 * 4 * 4  # one layer, one head, keys and values of width 4, fp32


def cache(*, rows: int) -> KVCache:
    """Room for `rows` short sequences."""
    return KVCache(
        [LayerShape(1, 4, 4)], like=torch.empty(0), context_length=2 * ROW, max_bytes=rows * ROW * BYTES_PER_POSITION
    )


def scheduler(*, rows: int = 8, max_live: int = 8, alone: int = 100, beside: int = 10, many: int = 40) -> Scheduler:
    limits = StepLimits(
        max_live=max_live,
        prompt_tokens_alone=alone,
        prompt_tokens_beside_decoding=beside,
        prompt_tokens_for_many=many,
    )
    return Scheduler(cache(rows=rows), limits)


def request(
    name: str, prompt: int = 4, max_tokens: int = 4, *, first: int = 0, background: bool = False
) -> EngineRequest:
    ids = tuple(range(first, first + prompt))
    return EngineRequest(id=name, prompt_ids=ids, max_tokens=max_tokens, background=background)


def step(scheduler: Scheduler) -> dict[str, int]:
    """One step as the engine makes it, every sampled token being 9: how many tokens each request read."""
    turns = scheduler.plan()
    samples = [turn.live for turn in turns if turn.samples]
    for turn in turns:
        turn.live.slot.length += turn.num_tokens
    for live in samples:
        if live.append(9) is not None:
            scheduler.end(live.request.id)
    return {turn.live.request.id: turn.num_tokens for turn in turns}


def test_a_request_reads_its_prompt_then_one_token_per_step_and_leaves() -> None:
    one = scheduler()
    one.submit(request("a", prompt=4, max_tokens=3))
    assert [step(one) for _ in range(4)] == [{"a": 4}, {"a": 1}, {"a": 1}, {}]


def test_requests_join_while_others_decode() -> None:
    one = scheduler()
    one.submit(request("a"))
    step(one)
    one.submit(request("b"))
    assert step(one) == {"a": 1, "b": 4}
    assert step(one) == {"a": 1, "b": 1}


def test_a_long_prompt_is_read_in_chunks_beside_those_that_decode() -> None:
    one = scheduler(alone=100, beside=10)
    one.submit(request("short", max_tokens=4))
    step(one)
    one.submit(request("long", prompt=25))
    assert [step(one) for _ in range(3)] == [
        {"short": 1, "long": 10},
        {"short": 1, "long": 10},
        {"short": 1, "long": 5},
    ]
    assert step(one) == {"long": 1}


def test_a_prompt_is_read_in_smaller_chunks_where_that_is_asked_for() -> None:
    one = scheduler(alone=100)
    one.submit(EngineRequest(id="a", prompt_ids=tuple(range(7)), max_tokens=2, prompt_tokens_per_step=3))
    one.submit(request("b", prompt=4, max_tokens=2))
    assert [step(one) for _ in range(4)] == [{"a": 3, "b": 4}, {"a": 3, "b": 1}, {"a": 1}, {"a": 1}]


def test_prompts_that_come_together_share_a_step_in_their_order() -> None:
    one = scheduler(alone=10)
    for name in ("a", "b", "c"):
        one.submit(request(name, prompt=6))
    assert step(one) == {"a": 6, "b": 4}


def test_of_prompts_that_come_together_the_first_are_answered_first() -> None:
    one = eight_at_most(most=0)
    for number in range(4):
        one.submit(request(str(number), prompt=8, max_tokens=1, first=100 * number))
    one.submit(request("long", prompt=60, max_tokens=1, first=900))
    # A step with enough begins no other prompt; one that is long enough by itself is read as a whole.
    assert [step(one) for _ in range(4)] == [{"0": 8, "1": 8}, {"2": 8, "3": 8}, {"long": 60}, {}]


def test_more_than_half_of_short_prompts_are_read_in_one_step() -> None:
    one = eight_at_most(most=40)
    for number in range(8):
        one.submit(request(str(number), prompt=8, max_tokens=1, first=100 * number))
    assert [len(step(one)) for _ in range(3)] == [5, 2, 1]  # then of three, and one


def test_of_longer_prompts_the_first_are_not_kept_waiting_for_half() -> None:
    one = eight_at_most(most=39)
    for number in range(8):
        one.submit(request(str(number), prompt=8, max_tokens=1, first=100 * number))
    assert [len(step(one)) for _ in range(3)] == [2, 4, 2]  # of the last six, more than half are short enough


def eight_at_most(*, most: int) -> Scheduler:
    limits = StepLimits(
        max_live=8, prompt_tokens_alone=100, prompt_tokens_well=12, prompt_tokens_for_most=most,
        prompt_tokens_beside_decoding=10,
    )  # fmt: skip
    return Scheduler(cache(rows=8), limits)


def test_chunks_of_prompts_grow_where_several_wait_for_their_first_token() -> None:
    # Given one that decodes; when ever more prompts wait beside it
    read = []
    for num_prompts in (1, 2, 3, 4, 100):
        one = scheduler(rows=200, max_live=200, beside=10, many=40)
        one.submit(request("first", max_tokens=9))
        step(one)
        for number in range(num_prompts):
            one.submit(request(str(number), prompt=50, first=100 * number))
        read.append(sum(step(one).values()) - 1)
    # then a chunk is the larger, up to a limit
    assert read == [10, 20, 30, 40, 40]


def test_a_request_waits_until_the_cache_has_room() -> None:
    one = scheduler(rows=1)
    one.submit(request("a", max_tokens=2))
    one.submit(request("b", max_tokens=2))
    assert [step(one) for _ in range(4)] == [{"a": 4}, {"a": 1}, {"b": 4}, {"b": 1}]


def test_what_a_request_may_still_ask_for_takes_no_room_from_others() -> None:
    one = scheduler(rows=2)
    one.submit(request("a", max_tokens=2 * ROW - 4))  # as long as the context
    one.submit(request("b", max_tokens=2))
    assert step(one) == {"a": 4, "b": 4}


def test_nobody_overtakes_a_request_that_waits_for_room() -> None:
    one = scheduler(rows=2, alone=10**3, beside=10**3)
    one.submit(request("first", max_tokens=3))
    one.submit(request("large", prompt=ROW + 5, first=100))  # needs both rows
    one.submit(request("small"))
    assert [step(one) for _ in range(3)] == [{"first": 4}, {"first": 1}, {"first": 1}]
    assert step(one) == {"large": ROW + 5}


def test_no_more_than_max_live_sequences_run_at_once() -> None:
    one = scheduler(max_live=2)
    for name in ("a", "b", "c"):
        one.submit(request(name, max_tokens=2))
    assert [step(one) for _ in range(3)] == [{"a": 4, "b": 4}, {"a": 1, "b": 1}, {"c": 4}]


def test_a_request_can_be_ended_while_it_waits_and_while_it_runs() -> None:
    one = scheduler(rows=1)
    for name in ("a", "b", "c"):
        one.submit(request(name))
    step(one)
    assert one.end("b")
    assert one.end("a")
    assert not one.end("a")
    assert step(one) == {"c": 4}


def test_a_stop_token_ends_a_request_and_says_so() -> None:
    one = scheduler()
    one.submit(EngineRequest(id="a", prompt_ids=(1,), max_tokens=9, stop_token_ids=frozenset({9})))
    (turn,) = one.plan()
    assert turn.live.append(8) is None
    assert turn.live.append(9) == "stop"


def test_the_youngest_gives_way_to_one_that_grows_and_goes_on_where_it_was() -> None:
    # Given two of which the first is about to outgrow its row, and no room for a longer one beside the second
    one = scheduler(rows=2, alone=10**3, beside=10**3)
    one.submit(request("old", prompt=ROW - 1, max_tokens=3))
    one.submit(EngineRequest(id="young", prompt_ids=(500,) * 9, max_tokens=4, sampling=Sampling(seed=1)))
    assert [step(one) for _ in range(2)] == [{"old": ROW - 1, "young": 9}, {"old": 1, "young": 1}]
    (young,) = (live for live in one.live if live.request.id == "young")
    generator = young.generator
    # when it grows
    assert step(one) == {"old": 1}
    # then the second has given way, and reads again what it had once the first has ended
    assert one.num_preempted == 1
    assert step(one) == {"young": 11}
    assert step(one) == {"young": 1}
    # with the generator it had
    assert young.generator is generator
    assert not one.busy


def test_one_alone_that_outgrows_its_row_takes_all_there_is() -> None:
    one = scheduler(rows=2, alone=10**3)
    one.submit(request("a", prompt=ROW - 1, max_tokens=10))
    assert [step(one) for _ in range(4)] == [{"a": ROW - 1}, {"a": 1}, {"a": 1}, {"a": 1}]
    assert one.num_preempted == 0
    assert one.figures().size_bytes == 2 * ROW * BYTES_PER_POSITION


def test_the_background_runs_while_nobody_else_wants_a_step() -> None:
    one = scheduler(alone=100, beside=10)
    one.submit(request("slow", prompt=15, max_tokens=3, background=True))
    assert step(one) == {"slow": 10}  # no larger a chunk than others may have to wait for
    one.submit(request("a", max_tokens=2))
    assert [step(one) for _ in range(2)] == [{"a": 4}, {"a": 1}]
    assert step(one) == {"slow": 5}
    one.submit(request("b", max_tokens=1))
    assert [step(one) for _ in range(4)] == [{"b": 4}, {"slow": 1}, {"slow": 1}, {}]


def test_the_background_gives_way_first_and_takes_no_place_from_others() -> None:
    one = scheduler(rows=2, max_live=2)
    for name in ("slow", "slower"):
        one.submit(request(name, max_tokens=4, background=True))
    assert step(one) == {"slow": 4, "slower": 4}
    for name in ("a", "b"):
        one.submit(request(name, max_tokens=1))
    assert step(one) == {"a": 4, "b": 4}
    assert one.num_preempted == 2
    assert [step(one) for _ in range(4)] == [{"slow": 5, "slower": 5}, *[{"slow": 1, "slower": 1}] * 2, {}]


def test_a_beginning_that_another_has_read_is_not_read_again() -> None:
    one = scheduler(alone=10**3, beside=10**3)
    one.submit(request("a", prompt=100, max_tokens=9))
    step(one)
    one.submit(EngineRequest(id="b", prompt_ids=(*range(70), 500, 501), max_tokens=1))
    assert step(one) == {"a": 1, "b": 2}
    assert (one.figures().num_prompt_tokens, one.figures().num_cached_tokens) == (172, 70)


def test_of_several_with_the_same_prompt_one_reads_and_the_others_wait_for_it() -> None:
    one = scheduler(alone=60, beside=60)
    for name in ("a", "b", "c"):
        one.submit(request(name, prompt=100, max_tokens=3))
    one.submit(request("other", prompt=10, first=200, max_tokens=2))
    assert step(one) == {"a": 60}
    assert step(one) == {"a": 40, "other": 10}
    assert step(one) == {"a": 1, "b": 1, "c": 1, "other": 1}
    assert [live.num_cached for live in one.live] == [0, 99, 99]


def test_a_beginning_is_kept_after_its_request_has_ended_and_in_whole_blocks() -> None:
    one = scheduler(alone=10**3)
    one.submit(request("a", prompt=100, max_tokens=1))
    step(one)
    assert not one.busy
    one.submit(request("b", prompt=100, max_tokens=1))
    assert step(one) == {"b": 100 - 3 * BLOCK}
    one.submit(request("whole", prompt=3 * BLOCK, max_tokens=1))  # of which the last token is read at any rate
    assert step(one) == {"whole": BLOCK}


@pytest.mark.parametrize("other", [{"adapter": "x#1"}, {"cache_salt": "mine"}], ids=str)
def test_what_another_model_or_another_salt_has_read_is_read_again(other: dict[str, str]) -> None:
    one = scheduler(alone=10**3, beside=10**3)
    ids = tuple(range(100))
    one.submit(EngineRequest(id="a", prompt_ids=ids, max_tokens=2))
    step(one)
    one.submit(EngineRequest(id="b", prompt_ids=ids, max_tokens=1, **other))  # type: ignore[arg-type]
    assert step(one) == {"a": 1, "b": 100}
    one.submit(EngineRequest(id="c", prompt_ids=ids, max_tokens=1, **other))  # type: ignore[arg-type]
    assert step(one) == {"c": 100 - 3 * BLOCK}


def test_what_is_kept_makes_room_for_those_that_run() -> None:
    one = scheduler(rows=4, alone=10**3)
    one.submit(request("a", prompt=ROW, max_tokens=1))
    step(one)
    assert one.figures().kept_bytes == ROW * BYTES_PER_POSITION
    for number in range(4):
        one.submit(request(str(number), prompt=10, first=1000 * number + 1000, max_tokens=2))
    assert len(step(one)) == 4
    assert one.figures().kept_bytes == 0
    assert one.figures().size_bytes == 4 * ROW * BYTES_PER_POSITION


def test_thousands_that_wait_are_ended_at_any_point() -> None:
    one = scheduler(rows=8)
    for number in range(5000):
        one.submit(request(str(number), background=number % 2 == 1))
    step(one)
    for number in range(4999, -1, -1):
        assert one.end(str(number))
    assert not one.busy
    assert one.figures().live_bytes == 0


def test_the_last_sequence_of_a_shelf_moves_into_the_gap_with_what_it_remembers() -> None:
    # Given three sequences side by side
    one = cache(rows=4)
    slots = taken(one, 3)
    for number, slot in enumerate(slots):
        slot.shelf.k_RSKD[0][slot.row] = number
        slot.length = 10
    # when the first leaves
    one.give_back(slots[0])
    # then the last lies in its row, and the rows are without gap
    assert [slot.row for slot in slots[1:]] == [1, 0]
    assert [float(slot.shelf.k_RSKD[0][slot.row, 9, 0, 0]) for slot in slots[1:]] == [1, 2]


def test_a_sequence_that_outgrows_its_row_takes_along_what_it_remembers() -> None:
    one = cache(rows=8)
    slots = taken(one, 3)
    for number, slot in enumerate(slots):
        slot.shelf.v_RSKD[0][slot.row] = number
        slot.length = ROW
    assert one.grow(slots[0], ROW)
    assert slots[0].shelf is slots[1].shelf
    assert one.grow(slots[0], ROW + 1)
    assert [(slot.shelf.row_length, slot.row) for slot in slots] == [(2 * ROW, 0), (ROW, 1), (ROW, 0)]
    assert [float(slot.shelf.v_RSKD[0][slot.row, ROW - 1, 0, 0]) for slot in slots] == [0, 1, 2]


def test_unused_rows_of_one_length_make_room_for_another() -> None:
    one = cache(rows=4)
    short = taken(one, 4)
    assert one.take(2 * ROW) is None
    for slot in short[:2]:
        one.give_back(slot)
    assert one.take(2 * ROW) is not None
    assert one.size_bytes == 4 * ROW * BYTES_PER_POSITION


def test_many_unused_rows_are_given_back() -> None:
    one = cache(rows=64)
    for slot in taken(one, 33):
        one.give_back(slot)
    assert one.size_bytes <= 8 * ROW * BYTES_PER_POSITION


def test_rows_take_memory_as_they_are_written() -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    pool = CachePool(2**15, [LayerShape(8, 64, 64)], torch.empty(0))
    pool.resize(4)
    assert pool.k_RSKD[0].nbytes == 2**28
    pool.k_RSKD[0][0, :100] = 1
    pool.take().length = 100
    pool.resize(8)
    assert float(pool.k_RSKD[0][:1, :101].sum()) == 100 * 8 * 64
    assert process.memory_info().rss - before < 2**26


def taken(cache: KVCache, num: int) -> list[CacheRow]:
    slots = [slot for slot in (cache.take(10) for _ in range(num)) if slot is not None]
    assert len(slots) == num
    return slots
