"""Batch inference: whatever lines there are, and wherever the worker is killed, each has one result, in its order."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batch_house import BatchHouse, asked, batch_house

LINES: dict[str, bytes] = {
    "good": json.dumps(asked("a question")).encode(),
    "named": json.dumps(asked("another question", recordId="OWN")).encode(),
    "blank": b"  ",
    "no JSON": b'{"modelInput": ',
    "no record": b"[]",
    "no input": b'{"recordId": "NOTHING"}',
    "wrong body": b'{"modelInput": {"prompt": 5, "max_tokens": 1}}',
    "too long": json.dumps(asked("word " * 3000)).encode(),
}
WITH_ANSWER = {"good", "named"}
files = st.lists(st.lists(st.sampled_from(sorted(LINES)), max_size=8), min_size=1, max_size=3)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BatchHouse]:
    with batch_house(tmp_path_factory.mktemp("batch") / "home") as made:
        yield made


@given(lines=files, kills=st.lists(st.integers(1, 9), max_size=3), torn=st.binary(max_size=20))
@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_lines_killed_anywhere_have_one_result_each_in_order(
    house: BatchHouse, lines: list[list[str]], kills: list[int], torn: bytes
) -> None:
    place = f"in-{house.next_number()}"
    for number, kinds in enumerate(lines):
        house.put(f"{place}/{number}.jsonl", *(LINES[kind] for kind in kinds))
    job = house.create(f"{place}/")
    for looks in kills:
        if not house.work_until(job, after(looks)):
            break
        for output in house.folder(job).glob("output/*.out"):  # a write that the kill cut off
            with output.open("ab") as file:
                file.write(torn)

    ended = house.work(job)
    told = [[kind for kind in kinds if kind != "blank"] for kinds in lines]
    if not any(told):
        assert ended.status == "Failed"
        return
    assert ended.status == "Completed"
    for number, kinds in enumerate(told):
        results = house.output(job, f"{number}.jsonl.out")
        assert [_kind_of(result) for result in results] == [kind in WITH_ANSWER for kind in kinds]
        assert [result["recordId"] for result in results if result["recordId"] == "OWN"] == ["OWN"] * kinds.count(
            "named"
        )
        ids = [result["recordId"] for result in results if result["recordId"] not in ("OWN", "NOTHING")]
        assert len(set(ids)) == len(ids)
    counts = house.manifest(job)
    answered = sum(kind in WITH_ANSWER for kinds in told for kind in kinds)
    assert counts["processedRecordCount"] == counts["totalRecordCount"] == sum(map(len, told))
    assert counts["successRecordCount"] == answered
    assert counts["outputTokenCount"] == 3 * answered


def after(looks: int) -> Callable[[], bool]:
    """Whether it was asked so often."""
    left = iter(range(looks))
    return lambda: next(left, None) is None


def _kind_of(result: dict[str, Any]) -> bool:
    """Whether a result holds an answer; it holds that or an error, never both."""
    assert ("modelOutput" in result) != ("error" in result)
    return "modelOutput" in result
