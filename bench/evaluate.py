"""Scores of answers beside their peers: `make bench-evaluate` writes bench/results/evaluate.json.

ROUGE-L of 10,000 Japanese answers, beside the package rouge-score on English answers of the same length: it has no
Japanese to be measured on, since it drops every letter beyond ASCII. The same length is as many characters, or as many
words as the Japanese has characters, which are its words. Both sides cut the texts themselves, and the peer
runs in an environment of its own. Our values of the English answers must be the peer's.
"""

import json
import random
import re
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import evaluate_models
from bench.measuring import ROOT, Row, environment, higher_is_better, interleaved, report, seconds
from outcrop.evaluation.scores.rouge import rouge
from outcrop.evaluation.scores.scoring import Candidate
from outcrop.evaluation.scores.words import has_mecab

PEER_PACKAGES = ("rouge-score==0.1.2",)
NUM, GOAL, EQUAL, TURNS = 10_000, 5.0, 1e-6, 3
RECORDS = 1_000
"Of each of the two models that are scored by likelihood and by generation."
NUM_OF_WORDS = 1_000
"English answers of as many words as a Japanese one has characters: the peer takes minutes for all."
GOAL_BY_WORD = 1.0
"MeCab's own time is most of it."
_CHARACTERS = 180
"The median length of an answer; they lie around it as lengths of texts do."
_WORD = re.compile(r"\S+")
_JAPANESE = _WORD.findall(
    "今日 明日 昨日 朝 夜 私 彼 彼女 学生 先生 会社 駅 電車 町 東京 京都 川 山 海 雨 雪 風 空 本 新聞 手紙 写真 "
    "料理 水 は が を に で と も から まで より ので けれど そして しかし 見る 行く 来る 読む 書く 話す 聞く "
    "食べる 飲む 歩く 走る 思う 考える 大きい 小さい 新しい 古い 美しい 静かな 賑やかな です ます ました でした "
    "ません という について 。 、"
)
_ENGLISH = _WORD.findall(
    "today tomorrow morning night I he she students teacher company station train town river mountain sea rain snow "
    "wind sky book newspaper letter photograph dish water is was the a of to in on at and or but because although "
    "see go come read write speak hear eat drink walk run think large small new old beautiful quiet lively model . ,"
)


def main() -> None:
    report("evaluate", [*rouge_rows(), *evaluate_models.rows(RECORDS, TURNS)])


def rouge_rows() -> list[Row]:
    """ROUGE-L of Japanese answers by character, and by word where MeCab is installed."""
    generator = random.Random(19)
    lengths = [max(20, round(generator.lognormvariate(0, 0.6) * _CHARACTERS)) for _ in range(NUM)]
    japanese = [_pair(_JAPANESE, "", length, generator) for length in lengths]
    english = [_pair(_ENGLISH, " ", length, generator) for length in lengths]
    as_many_words = [_pair_of_words(length, generator) for length in lengths[:NUM_OF_WORDS]]
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("characters.json", "words.json")]
        for file, candidates in zip(files, (english, as_many_words), strict=True):
            file.write_text(json.dumps([[each.answer, each.references[0]] for each in candidates]))
            _check_equal(candidates, file)
        runs = {unit: _ours(unit, japanese) for unit in ("characters", *(["words"] if has_mecab() else []))}
        peers = {name: _timed(file) for name, file in zip(("of characters", "of words"), files, strict=True)}
        told = interleaved({**runs, **peers}, times=TURNS)
    ours = f"ROUGE-L of {NUM:,} Japanese answers of {sum(lengths) / NUM:.0f} characters"
    rows = [
        _row(f"{ours}, by character; peer: English of as many characters", told["characters"], told["of characters"]),
        _row(
            f"{ours}, by character; peer: English of as many words",
            told["characters"],
            told["of words"] * NUM / NUM_OF_WORDS,
        ),
    ]
    if "words" in told:
        by_word = f"{ours}, by word (MeCab); peer: English of as many characters"
        rows.append(_row(by_word, told["words"], told["of characters"], goal=GOAL_BY_WORD))
    return rows


def _row(name: str, ours: float, peer: float, goal: float = GOAL) -> Row:
    return higher_is_better(name, ours=NUM / ours, peer=NUM / peer, unit="answers/s", goal=goal)


def _timed(file: Path) -> Callable[[], float]:
    return lambda: float(_peer(file)["seconds"])


def _ours(unit: str, candidates: Sequence[Candidate]) -> Callable[[], float]:
    score = rouge("l", unit)
    score.score(candidates[:100])  # a dictionary is opened before anything is timed
    return lambda: seconds(lambda: score.score(candidates))


def _pair(words: Sequence[str], between: str, length: int, generator: random.Random) -> Candidate:
    """An answer and a reference of `length` characters that share about two thirds of their words."""
    answer, reference = _words(words, length, generator)
    return Candidate(prompt="", answer=between.join(answer)[:length], references=(between.join(reference)[:length],))


def _pair_of_words(length: int, generator: random.Random) -> Candidate:
    """An English answer and a reference of `length` words."""
    answer, reference = _words([word for word in _ENGLISH if word.isalnum()], length, generator)
    return Candidate(prompt="", answer=" ".join(answer), references=(" ".join(reference),))


def _words(words: Sequence[str], num: int, generator: random.Random) -> tuple[list[str], list[str]]:
    reference = [generator.choice(words) for _ in range(num)]
    return [word if generator.random() < 0.65 else generator.choice(words) for word in reference], reference


def _check_equal(english: Sequence[Candidate], file: Path) -> None:
    ours = [value.value for value in rouge("l").score(english)]
    farthest = max(abs((a or 0.0) - b) for a, b in zip(ours, _peer(file)["values"], strict=True))
    assert farthest < EQUAL, f"our ROUGE-L of English differs from the peer's by {farthest:g}"


def _peer(file: Path) -> dict[str, Any]:
    python = environment("rouge-score", PEER_PACKAGES)
    command = [str(python), str(ROOT / "bench" / "evaluate_peer.py"), str(file)]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


if __name__ == "__main__":
    main()
