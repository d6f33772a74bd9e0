"""Lines of any length, results that survive a kill, and shares: what a batch job is made of."""

import io
import os
from pathlib import Path

import pytest

from outcrop.batch import lines as lines_module
from outcrop.batch.lines import InputLine, lines_of
from outcrop.batch.progress import FileProgress, LineResult, ResultFile
from outcrop.batch.record import LineError, LineOutput, record_of
from outcrop.batch.shares import Shares


def test_every_line_but_blank_ones_is_told_with_its_place() -> None:
    file = io.BytesIO(b'{"a": 1}\n\n \t\n{"b": 2}\r\nlast')
    assert list(lines_of(file)) == [
        InputLine(1, 9, b'{"a": 1}\n'),
        InputLine(4, 23, b'{"b": 2}\r\n'),
        InputLine(5, 27, b"last"),
    ]
    assert list(lines_of(file, offset=9, number=1)) == [InputLine(4, 23, b'{"b": 2}\r\n'), InputLine(5, 27, b"last")]


def test_a_byte_order_mark_is_no_part_of_the_first_line() -> None:
    assert [line.data for line in lines_of(io.BytesIO(b"\xef\xbb\xbf{}\n\xef\xbb\xbf{}"))] == [
        b"{}\n",
        b"\xef\xbb\xbf{}",
    ]


def test_a_line_too_long_for_a_request_is_told_without_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines_module, "LARGEST_LINE_BYTES", 4)
    file = io.BytesIO(b"1234\n12345\n123456789\nend")
    assert [(line.number, line.end, line.data) for line in lines_of(file)] == [
        (1, 5, b"1234\n"),
        (2, 11, None),
        (3, 21, None),
        (4, 24, b"end"),
    ]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{", "Malformed record at line 7: it is not JSON: Expecting property name"),
        (b'{"a": "\xff"}', "Malformed record at line 7: it is not JSON: it is not UTF-8 at byte 7."),
        (b"[1]", "Malformed record at line 7: it is no JSON object with recordId and modelInput."),
        (b"{}", "Malformed record at line 7: modelInput: missing."),
        (b'{"modelInput": "x"}', "Malformed record at line 7: modelInput: expected an object, the body of a request."),
        (b'{"modelInput": {}, "recordId": 5}', "Malformed record at line 7: recordId: expected a string."),
        (None, "Malformed record at line 7: it is longer than the 25,000,000 bytes of a request's body."),
    ],
)
def test_a_line_that_is_no_record_says_why(data: bytes | None, problem: str) -> None:
    record = record_of(InputLine(7, 9, data), seed="job:file")
    assert (record.problem or "").startswith(problem)


def test_a_line_without_an_id_is_given_the_same_one_again() -> None:
    line = InputLine(7, 9, b'{"modelInput": {}}')
    given = record_of(line, seed="job:file").id
    assert len(given) == 11
    assert given.isalnum()
    assert record_of(line, seed="job:file").id == given != record_of(line, seed="job:other").id
    assert record_of(InputLine(7, 9, b'{"recordId": "own", "modelInput": {}}'), seed="job:file").id == "own"


def test_a_result_repeats_the_input_and_tells_the_answer_or_the_error() -> None:
    record = record_of(InputLine(1, 9, '{"recordId": "r", "modelInput": {"text": "ü"}}'.encode()), seed="")
    assert (
        record.result(LineOutput({"answer": 1}))
        == '{"recordId":"r","modelInput":{"text":"ü"},"modelOutput":{"answer":1}}\n'.encode()
    )
    assert record.result(LineOutput(error=LineError(400, "bad"))) == (
        '{"recordId":"r","modelInput":{"text":"ü"},"error":{"errorCode":400,"errorMessage":"bad"}}\n'.encode()
    )


def result(line: int, text: str, **more: int) -> LineResult:
    return LineResult(line, 10 * line, f"{text}\n".encode(), is_error=False, **more)


def test_results_go_on_behind_what_a_killed_process_had_told(tmp_path: Path) -> None:
    first = ResultFile(tmp_path / "0.out")
    first.append([result(1, "one", input_tokens=2), result(2, "two", output_tokens=3)])
    os.write(os.open(tmp_path / "0.out", os.O_WRONLY | os.O_APPEND), b"half of the thi")  # as a kill leaves it
    first.close()

    second = ResultFile(tmp_path / "0.out")
    assert second.progress == FileProgress(
        turn=1, lines=2, input_end=20, output_end=8, successes=2, input_tokens=2, output_tokens=3
    )
    second.append([LineResult(3, 30, b"three\n", is_error=True)])
    second.finish()
    second.close()
    assert (tmp_path / "0.out").read_bytes() == b"one\ntwo\nthree\n"

    third = ResultFile(tmp_path / "0.out")
    assert (third.progress.records, third.progress.errors, third.progress.is_whole) == (3, 1, True)
    third.close()


@pytest.mark.parametrize("damage", [b"", b"\0" * 76, b"\xff" * 76])
def test_of_two_places_the_one_that_holds_counts(damage: bytes, tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "0.out")
    file.append([result(1, "one")])
    file.append([result(2, "two")])
    file.close()
    slots = tmp_path / "0.progress"
    size = slots.stat().st_size // 2
    slots.write_bytes(damage[:size].ljust(size, b"\0") + slots.read_bytes()[size:])  # turn 2 stands in the first place

    again = ResultFile(tmp_path / "0.out")
    assert again.progress.lines == 1
    again.close()
    assert (tmp_path / "0.out").read_bytes() == b"one\n"


def test_a_progress_beyond_what_reached_the_disk_is_not_believed(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "0.out")
    file.append([result(1, "one")])
    file.append([result(2, "two")])
    file.close()
    os.truncate(tmp_path / "0.out", 6)
    again = ResultFile(tmp_path / "0.out")
    assert (again.progress.lines, again.progress.output_end) == (1, 4)
    again.close()


def test_jobs_of_one_engine_have_equal_shares_and_a_quarter_beside_others() -> None:
    shares = Shares(most_in_flight=32)
    assert shares.share("a", has_others=False) == 32
    with shares.using("a"), shares.using("a"), shares.using("b"):
        assert [shares.share(engine, has_others=False) for engine in "ab"] == [16, 32]
        assert [shares.share(engine, has_others=True) for engine in "ab"] == [4, 8]
    with shares.using("a"), shares.using("a"), shares.using("a"):
        assert Shares(most_in_flight=2).share("a", has_others=True) == 1
