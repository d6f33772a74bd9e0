import torch

from outcrop.inference.kv_cache import SHORTEST_ROW, KVCache, LayerShape
from outcrop.inference.request import EngineRequest
from outcrop.inference.scheduler import Scheduler, StepLimits

ROW = SHORTEST_ROW
BYTES_PER_POSITION = 2 * 4 * 4  # one layer, one head, keys and values of width 4, fp32


def cache(*, rows: int) -> KVCache:
    """Room for `rows` short sequences."""
    return KVCache(
        [LayerShape(1, 4, 4)], like=torch.empty(0), context_length=2 * ROW, max_bytes=rows * ROW * BYTES_PER_POSITION
    )


def scheduler(*, rows: int = 8, max_live: int = 8, alone: int = 100, beside: int = 10) -> Scheduler:
    limits = StepLimits(max_live=max_live, prompt_tokens_alone=alone, prompt_tokens_beside_decoding=beside)
    return Scheduler(cache(rows=rows), limits)


def request(name: str, prompt: int = 4, max_tokens: int = 4) -> EngineRequest:
    return EngineRequest(id=name, prompt_ids=tuple(range(prompt)), max_tokens=max_tokens)


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


def test_a_request_waits_until_the_cache_has_room() -> None:
    one = scheduler(rows=1)
    one.submit(request("a", max_tokens=2))
    one.submit(request("b", max_tokens=2))
    assert [step(one) for _ in range(4)] == [{"a": 4}, {"a": 1}, {"b": 4}, {"b": 1}]


def test_nobody_overtakes_a_request_that_waits_for_room() -> None:
    one = scheduler(rows=2)
    one.submit(request("first", max_tokens=3))
    one.submit(request("large", prompt=5, max_tokens=ROW))  # needs both rows
    one.submit(request("small"))
    assert [step(one) for _ in range(3)] == [{"first": 4}, {"first": 1}, {"first": 1}]
    assert step(one) == {"large": 5}


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


def test_the_last_sequence_of_a_shelf_moves_into_the_gap_with_what_it_remembers() -> None:
    # Given three sequences side by side
    one = cache(rows=4)
    slots = [slot for slot in (one.take(10) for _ in range(3)) if slot is not None]
    for number, slot in enumerate(slots):
        slot.shelf.k_RSKD[0][slot.row] = number
        slot.length = 10
    # when the first leaves
    one.give_back(slots[0])
    # then the last lies in its row, and the rows are without gap
    assert [slot.row for slot in slots[1:]] == [1, 0]
    assert [float(slot.shelf.k_RSKD[0][slot.row, 9, 0, 0]) for slot in slots[1:]] == [1, 2]


def test_unused_rows_of_one_length_make_room_for_another() -> None:
    one = cache(rows=4)
    short = [one.take(10) for _ in range(4)]
    assert one.take(2 * ROW) is None
    for slot in short[:2]:
        assert slot is not None
        one.give_back(slot)
    assert one.take(2 * ROW) is not None
    assert one.size_bytes == 4 * ROW * BYTES_PER_POSITION
