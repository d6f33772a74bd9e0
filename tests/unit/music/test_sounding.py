"""Melodies as sound: the right pitch at the right time, repeats played, and nothing endless."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest

from outcrop.music.abc_files import tunes
from outcrop.music.score import Bar
from outcrop.music.sounding import LONGEST_S, RATE, wav_bytes


def bars_of(tmp_path: Path, body: str) -> tuple[Bar, ...]:
    file = tmp_path / "tune.abc"
    file.write_text(f"X:1\nM:4/4\nL:1/4\nK:C\n{body}\n")
    (tune,) = tunes(file)
    return tune.music.part.bars


def samples(wav: bytes) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    with wave.open(io.BytesIO(wav)) as read:
        assert (read.getnchannels(), read.getsampwidth(), read.getframerate()) == (1, 2, RATE)
        return np.frombuffer(read.readframes(read.getnframes()), dtype="<i2").astype(np.float64)


def loudest_hz(heard: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    return float(np.argmax(spectrum)) * RATE / len(heard)


def test_each_note_has_its_pitch_in_its_time(tmp_path: Path) -> None:
    heard = samples(wav_bytes(bars_of(tmp_path, "A a E z|"), beats_per_minute=60))
    seconds = [heard[int((at + 0.1) * RATE) : int((at + 0.9) * RATE)] for at in range(3)]
    assert [loudest_hz(each) for each in seconds] == pytest.approx([440, 880, 329.6], abs=2)
    assert len(heard) / RATE == pytest.approx(3.08, abs=0.01)


def test_a_tied_note_is_struck_once_and_a_repeat_played_twice(tmp_path: Path) -> None:
    once = samples(wav_bytes(bars_of(tmp_path, "A4-|A4|"), beats_per_minute=240))
    struck = samples(wav_bytes(bars_of(tmp_path, "A4|A4|"), beats_per_minute=240))
    start = int(1.02 * RATE)
    assert np.abs(once[start : start + 2000]).max() < 0.7 * np.abs(struck[start : start + 2000]).max()
    repeated = samples(wav_bytes(bars_of(tmp_path, "|:A4:|"), beats_per_minute=240))
    assert len(repeated) == len(struck)


def test_no_tune_sounds_for_ever_and_silence_is_a_file_too(tmp_path: Path) -> None:
    endless = wav_bytes(bars_of(tmp_path, "A99999|B|"), beats_per_minute=60)
    assert len(endless) < LONGEST_S * RATE * 2
    assert samples(wav_bytes(bars_of(tmp_path, "z4|"))).max() == 0
