"""The linked verse of the quickstart: the ruler counts right, and the files are what their README says."""

import importlib
import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
RECORDS = {"train": 2000, "validation": 200, "test": 200}


@pytest.fixture
def mora(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The ruler; examples are no installed package, so their folder is put on the path."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("renga.mora")


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("renga.generate")


@pytest.fixture(scope="module")
def verses() -> dict[str, list[tuple[str, str]]]:
    """Upper and lower verse of every record, by file."""
    return {name: list(verses_in(EXAMPLES / "renga" / f"{name}.jsonl")) for name in RECORDS}


def verses_in(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        assert list(record) == ["prompt", "completion"]
        question, colon = record["prompt"].split("\n")
        assert (question[:5], colon, record["completion"][0]) == ("上の句: ", "下の句:", " ")
        yield question[5:], record["completion"][1:]


@pytest.mark.parametrize(
    ("text", "morae"),
    [
        ("", 0),
        ("はる", 2),
        ("きょうのつき", 5),
        ("しゃしゅしょ", 3),
        ("まって", 3),
        ("みかん", 3),
        ("コーヒー", 4),
        ("ティファニー", 4),
        ("クヮルテット", 5),
        ("ヴァイオリン", 5),
        ("ゔぁいおりん", 5),
        ("ファッション", 4),
        ("か\u3099く", 2),
        ("やまのてら", 5),
        ("ひばりさえずる", 7),
    ],
)
def test_every_kana_is_one_mora_but_the_small_ones_that_lean(mora: ModuleType, text: str, morae: int) -> None:
    assert mora.count_morae(text) == morae


@pytest.mark.parametrize("text", ["春", "はる の", "haru", "はる。", "はる、なつ", "はる1", "゛"])
def test_a_text_that_is_not_all_kana_has_no_count(mora: ModuleType, text: str) -> None:
    with pytest.raises(mora.NotKanaError):
        mora.count_morae(text)


def test_the_refusal_names_the_character(mora: ModuleType) -> None:
    with pytest.raises(mora.NotKanaError) as refusal:
        mora.count_morae("はるの山")
    assert str(refusal.value) == "'はるの山': '山' is not kana. Write the phrase in hiragana or katakana."


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("こころもかるく はるをよろこぶ", True),
        (" こころもかるく はるをよろこぶ\n上の句: つぎのうた", True),
        ("こころもかるく\u3000はるをよろこぶ  \r\nこ", True),
        ("こころもかるくはるをよろこぶ", False),
        ("こころもかるく はるよろこぶ", False),
        ("こころもかるい はるのひ よろこぶ", False),
        ("こころもかるく 春をよろこぶ", False),
        ("こころもかるく はるをよろこぶ。", False),
        ("こころもかるく\nはるをよろこぶ", False),
        ("\nこころもかるく はるをよろこぶ", False),
        ("", False),
    ],
)
def test_a_lower_verse_is_two_ku_of_seven_on_the_first_line(mora: ModuleType, answer: str, verdict: bool) -> None:
    assert mora.is_seven_seven(answer) is verdict


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_the_wilson_interval_equals_newcombes_table(
    mora: ModuleType, successes: int, n: int, low: float, high: float
) -> None:
    """Newcombe 1998, Statistics in Medicine 17, table I, method 3; the last is the third one mirrored."""
    assert mora.wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_an_impossible_sample_has_no_interval(mora: ModuleType, successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="expected 0 <= successes <= n and n >= 1"):
        mora.wilson_interval(successes, n)


@pytest.mark.parametrize(("name", "size"), RECORDS.items())
def test_a_file_has_its_number_of_records(verses: dict[str, list[tuple[str, str]]], name: str, size: int) -> None:
    assert len(verses[name]) == size


def test_every_verse_has_its_morae(mora: ModuleType, verses: dict[str, list[tuple[str, str]]]) -> None:
    for upper, lower in chain(*verses.values()):
        assert [mora.count_morae(ku) for ku in upper.split(" ")] == [5, 7, 5], upper
        assert mora.is_seven_seven(lower), lower


def test_no_verse_occurs_twice_in_all_files(verses: dict[str, list[tuple[str, str]]]) -> None:
    uppers, lowers = zip(*chain(*verses.values()), strict=True)
    assert len(set(uppers)) == len(set(lowers)) == 2400


def test_regenerating_gives_the_same_bytes(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["generate", "--out", str(tmp_path)])
    generate.main()
    for name in RECORDS:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == (EXAMPLES / "renga" / f"{name}.jsonl").read_bytes()


def test_the_bank_has_enough_phrases_and_none_twice_in_a_list(generate: ModuleType) -> None:
    least = {"first": 16, "second": 20, "third": 16, "fourth": 24, "fifth": 24}
    themes = generate.read_phrases(EXAMPLES / "renga" / "phrases.toml")
    assert len(themes) == 10
    for theme, phrases in themes.items():
        for place, count in least.items():
            assert len(set(phrases[place])) == len(phrases[place]) >= count, (theme, place)


def test_a_phrase_with_wrong_morae_is_refused_by_name(generate: ModuleType, tmp_path: Path) -> None:
    bank = tmp_path / "phrases.toml"
    bank.write_text(
        '[spring]\nfirst = ["はるのよ"]\nsecond = []\nthird = ["はるのみち"]\nfourth = []\nfifth = ["はるをおもう"]\n',
        encoding="utf-8",
    )
    with pytest.raises(ValueError, match="spring") as refusal:
        generate.read_phrases(bank)
    assert str(refusal.value).splitlines() == [
        "phrases.toml: spring.first: はるのよ has 4 morae, this place takes 5. Change the phrase.",
        "phrases.toml: spring.fifth: はるをおもう has 6 morae, this place takes 7. Change the phrase.",
    ]


@pytest.mark.parametrize(
    ("poem", "verdict"),
    [
        (("はるあさく", "はるのひかりの"), True),
        (("ひざしのび", "あさのひざしに"), True),
        (("ひざしのび", "かわずのうたう"), False),
    ],
)
def test_a_poem_that_says_a_word_twice_is_seen(generate: ModuleType, poem: tuple[str, ...], verdict: bool) -> None:
    assert generate.repeats(poem) is verdict
