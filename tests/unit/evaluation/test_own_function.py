"""A function of the user's own scores in a process of its own: it may fail, hang, die and eat memory there."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.scores.own_function import OwnFunctionLimits, own_function
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue

Write = Callable[[str], str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """The place of a function `grade` with this body."""

    def write(body: str) -> str:
        path = tmp_path / "grading.py"
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        path.write_text(f"import os, sys, time\n\ndef grade(answer, prompt, references):\n{lines}")
        return f"{path}:grade"

    return write


def scored(place: str, *answers: str, seconds: float = 5.0, memory_bytes: int = 2**30) -> list[ScoreValue]:
    score = own_function(place, OwnFunctionLimits(seconds=seconds, memory_bytes=memory_bytes))
    return score.score([Candidate(prompt="Q", answer=answer, references=("ab",)) for answer in answers])


def test_it_gets_answer_prompt_and_references_and_may_print(written: Write) -> None:
    place = written("print('seen', answer)\nreturn len(answer) + len(prompt) + 10 * len(references)")
    assert [each.value for each in scored(place, "a", "東京")] == [12.0, 13.0]


def test_a_function_of_a_module_is_found() -> None:
    assert own_function("math:fsum").name == "function:math:fsum"


def test_an_exception_is_that_records_problem_with_its_line(written: Write) -> None:
    place = written("return 1 / len(answer)")
    first, second = scored(place, "", "ab")
    assert first.value is None
    assert first.why_not == f"{place}: grading.py:4: ZeroDivisionError: division by zero."
    assert second.value == 0.5


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return None", "the function returned None"),
        ("return 'good'", "the function returned a str, not a number"),
        ("return float('nan')", "the function returned nan"),
        ("sys.exit(3)", "grading.py:4: SystemExit: 3"),
        ("os._exit(3)", "its process ended, exit code 3"),
    ],
)
def test_what_is_no_number_is_told(written: Write, body: str, problem: str) -> None:
    place = written(body)
    (found,) = scored(place, "a")
    assert (found.value, found.why_not) == (None, f"{place}: {problem}.")


def test_a_function_that_hangs_is_killed_with_what_it_started_and_the_next_record_scored(
    written: Write, tmp_path: Path
) -> None:
    place = written(
        f"if answer == 'hang':\n    pid = os.fork()\n    open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')\n"
        "    while True:\n        time.sleep(60)\nreturn 1"
    )
    first, second = scored(place, "hang", "go", seconds=0.5)
    assert first.why_not == f"{place}: took more than 0.5 s and was killed."
    assert second.value == 1.0
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 10
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(is_running, pids))


def is_running(pid: int) -> bool:
    """Whether a process runs; one that waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_after_three_losses_in_a_row_the_rest_is_not_asked(written: Write) -> None:
    place = written("os._exit(1)")
    assert scored(place, *"abcde")[-1].why_not == f"{place}: not asked: its process was lost 3 times in a row."


def test_a_function_that_reads_nothing_is_killed_though_a_record_is_large(written: Write, tmp_path: Path) -> None:
    place = written("return 1")
    # Given a file that stops the process from reading further
    (tmp_path / "grading.py").write_text(
        "import os\nos.dup2(os.open('/dev/zero', os.O_RDONLY), 9)\ndef grade(**record):\n    import time; time.sleep(60)\n"
    )
    assert scored(place, "x" * 1_000_000, seconds=0.5)[0].why_not.endswith("took more than 0.5 s and was killed.")


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="only Linux counts a process's data")
def test_memory_beyond_the_limit_is_a_problem_of_that_record(written: Write) -> None:
    place = written("return len(bytearray(int(answer)))")
    much, little = scored(place, str(2**30), "10", memory_bytes=2**28)
    assert much.why_not == f"{place}: grading.py:4: MemoryError."
    assert little.value == 10.0


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("grading", "names no function. Write function:file.py:NAME"),
        ("absent_module:grade", "ModuleNotFoundError: No module named 'absent_module'"),
        ("/nowhere/grading.py:grade", "FileNotFoundError"),
        ("math:grade", "there is no function grade in math"),
    ],
)
def test_a_function_that_is_not_there_is_refused_before_anything_is_scored(place: str, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        own_function(place)
    assert sentence in refused.value.message
