"""What the preflight report finds in records beyond their form: repeats, languages, personal data, and what fits them."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from outcrop.datasets.encoding import encode
from outcrop.datasets.observing import languages, near_duplicates, personal
from outcrop.datasets.observing.languages import Languages
from outcrop.datasets.observing.lengths import RecordLengths
from outcrop.datasets.preflight import examine
from outcrop.datasets.records import PromptCompletion
from outcrop.datasets.report.value import FileReport, Gap, NearOverlap, PersonalData, Report, TokenPiece
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.small_tokenizers import BUNDLED, byte_level

CONTEXT = 4096


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.open(byte_level(tmp_path_factory.mktemp("base")))


def report(folder: Path, tokenizer: Tokenizer, *files: Sequence[object]) -> Report:
    paths = []
    for name, records in zip(("train.jsonl", "validation.jsonl", "test.jsonl"), files, strict=False):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        paths.append(folder / name)
    return examine(paths, tokenizer=tokenizer, context_length=CONTEXT, customization="FINE_TUNING")


def pair(prompt: str, completion: str = "yes") -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def sentences(num: int, words: Sequence[str], *, seed: int, joint: str = " ", length: int = 25) -> list[str]:
    chosen = random.Random(seed)
    return [joint.join(chosen.choices(words, k=length)) for _ in range(num)]


def made_up(letters: Sequence[str], *, syllables: int) -> list[str]:
    chosen = random.Random(1)
    return ["".join(chosen.choices(letters, k=syllables)) for _ in range(400)]


ENGLISH = made_up([a + b for a in "bdfgklmnprst" for b in "aeiou"], syllables=3)
JAPANESE = made_up("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほ春夏秋冬山川花鳥風月雪雨", syllables=3)


@pytest.mark.parametrize(
    ("texts", "changed"),
    [
        (sentences(60, ENGLISH, seed=1), lambda text: text.replace(text.split()[3], "elsewhere", 1)),
        (sentences(60, ENGLISH, seed=2), lambda text: text.upper().replace(" ", "  ")),
        (sentences(60, JAPANESE, seed=3, joint="、"), lambda text: text[:-4] + "でした"),
        (sentences(60, JAPANESE, seed=4, joint="、"), lambda text: "。" + text.replace("、", "､", 5)),
    ],
)
def test_near_duplicates_are_found_within_a_file_and_between_files(
    texts: list[str], changed: "object", tmp_path: Path, tokenizer: Tokenizer
) -> None:
    assert callable(changed)
    train = [pair(text) for text in texts] + [pair(changed(texts[7]))]
    held_out = [pair(text[::-1]) for text in texts[:5]] + [pair(changed(texts[30]))]
    first, second = report(tmp_path, tokenizer, train, held_out).files
    assert (first.num_duplicates, first.near.num, [group.lines for group in first.near.groups]) == (0, 1, [(8, 61)])
    assert (second.near.num, second.num_overlap) == (0, 0)
    assert [(each.line, each.train_line) for each in second.near.overlap] == [(6, 31)]


def test_an_exact_copy_is_told_once_and_not_as_a_near_one(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = sentences(10, ENGLISH, seed=5)
    first, second = report(tmp_path, tokenizer, [*map(pair, texts), pair(texts[2])], [pair(texts[4])]).files
    assert (first.duplicates, first.near.num) == (((3, 11),), 0)
    assert (second.num_overlap, second.near.overlap) == (1, ())


def test_a_template_that_all_records_share_makes_none_of_them_alike(tmp_path: Path, tokenizer: Tokenizer) -> None:
    head = "Summarize the following conversation in one sentence, and name every person who takes part in it.\n\n" * 3
    texts = sentences(80, ENGLISH, seed=6, length=12)
    (file,) = report(tmp_path, tokenizer, [pair(head + text) for text in [*texts, texts[3] + " ."]]).files
    assert file.near.template > 0.5
    assert [group.lines for group in file.near.groups] == [(4, 81)]


def test_near_duplicates_beyond_the_memory_s_bound_are_told_to_be_unlooked_for(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "_MOST_RECORDS", 5)
    texts = sentences(8, ENGLISH, seed=7)
    found = report(tmp_path, tokenizer, [*map(pair, texts), pair(texts[1] + " x"), pair(texts[7] + " x")])
    assert (found.files[0].near.num_compared, found.files[0].near.num) == (5, 0)
    assert "  compared          5   records, the first ones, for being similar" in found.to_text()


def test_without_the_library_near_duplicates_are_said_not_to_be_looked_for(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(near_duplicates, "_library", lambda: None)
    found = report(tmp_path, tokenizer, [pair("a b c"), pair("a b c")])
    assert found.files[0].num_duplicates == 1
    assert (
        "similar           -   not looked for: install Outcrop with its extra `data`: pip install 'outcrop[data]'"
        in (found.to_text())
    )


def test_every_near_copy_of_a_crowd_is_in_one_group(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = sentences(11, ENGLISH, seed=8)
    crowd = [f"{texts[0]} number {number}" for number in range(30)]
    (file,) = report(tmp_path, tokenizer, [pair(text) for text in [*texts[1:], *crowd]]).files
    (group,) = file.near.groups
    assert (file.near.num, group.lines) == (29, tuple(range(11, 41)))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The stone at the river is older than the house on the hill.", "English"),
        ("Der Stein am Fluss ist älter als das Haus auf dem Hügel, sagt man.", "German"),
        ("古池や 蛙飛び込む 水の音", "Japanese"),
        ("Translate into Japanese, please: 石は家より古いです", "Japanese with Latin letters"),
        ("강가의 돌은 언덕 위의 집보다 오래되었습니다.", "Korean"),
        ("Камень у реки старше дома на холме.", "Russian"),
        ("河边的石头比山上的房子还要古老。", "Chinese"),
        ("X: 1\nT: Air\nM: 6/8\nK: G\nG2B d2B|c2A A2G|", "ABC notation"),
        ('"G"G2B d2B|"Am"c2A A2G|', "ABC notation"),
        ("|G|Am|,|G2B d2B|,|C|,|c3 e3|", "ABC notation"),
        ("1 + 1 = 2", "texts without letters"),
        ("yes", "short texts"),
        ("def add(a, b): return a | b", "not ABC notation"),
    ],
)
def test_languages_are_told_by_rule_and_by_library(text: str, language: str) -> None:
    found = Languages().of(text)
    assert found != "ABC notation" if language.startswith("not ") else found == language


def test_without_the_library_languages_are_told_by_script_and_the_report_says_so(
    tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "_identifier", lambda: None)
    monkeypatch.setattr(languages, "_LIBRARY", "a_library_that_is_not_installed")
    found = report(tmp_path, tokenizer, [pair("The stone at the river is older"), pair("古池や 蛙飛び込む 水の音")])
    assert [fit.language for fit in found.files[0].fitness.languages] == ["Japanese", "Latin letters"]
    assert "told by script alone: install outcrop[data] for more" in found.to_text()


def test_the_tokenizer_is_measured_beside_each_language(tmp_path: Path) -> None:
    tokenizer = Tokenizer.open(BUNDLED)
    greek, english = "Η πέτρα είναι παλιά και ωραία", "The stone at the river is older than the house"
    (file,) = report(tmp_path, tokenizer, [pair(greek, greek), pair(english, english)]).files
    fits = {fit.language: fit for fit in file.fitness.languages}
    assert fits["Greek"].verdict == "poor"
    assert 0 < fits["Greek"].num_split <= 2 * sum(len(letter.encode()) > 1 for letter in greek)
    assert set(fits["Greek"].split) <= set(greek)
    assert (fits["English"].num_split, fits["English"].verdict) == (0, "good")
    assert fits["English"].num_tokens == len(tokenizer.encode(f"{english}\n{english}", begin=False))
    assert file.fitness.num_bytes == 2 * (len(greek.encode()) + len(english.encode()))


FOUND = [
    ("Write to kenji.tanaka@mail.co.jp today", "e-mail", "k…@m….jp"),
    ("Call +81 90-1234-5678 now", "telephone", "+•• ••-••••-••78"),
    ("Call (212) 736-5000.", "telephone", "(•••) •••-••00"),
    ("電話は03-1234-5678です", "telephone", "••-••••-••78"),
    ("０９０－１２３４－５６７８", "telephone", "•••－••••－••７８"),
    ("card 4111 1111 1111 1111 exp", "card", "•••• •••• •••• ••11"),
    ("amex 378282246310005", "card", "•••••••••••••05"),
    ("IBAN DE89 3704 0044 0532 0130 00", "account", "DE•• •••• •••• •••• •••• 00"),
    ("口座番号: 1234567", "account", "口座番号: •••••67"),
    ("SSN 123-45-6789", "national id", "•••-••-••89"),
    ("マイナンバーは 1234 5678 9018 です", "national id", "マイナンバーは •••• •••• ••18"),
    ("key AKIAQ2W3E4R5T6Y7U2I3", "AWS key", "AKIA…"),
    ("aws_secret_access_key = wJalrXUtnFEMI7K7MDENGbPxRfiCYzzzzzzzKEY1", "AWS key", "aws_…"),
    ("-----BEGIN RSA PRIVATE KEY-----", "private key", "----…"),
    ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "API key", "ghp_…"),
]


@pytest.mark.parametrize(("text", "kind", "masked"), FOUND)
def test_personal_data_is_found_and_masked(text: str, kind: str, masked: str) -> None:
    (found,) = personal.find(text)
    assert (found.kind, found.masked) == (kind, masked)
    assert masked in personal.masked(text)
    assert text[found.start : found.end] not in personal.masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "user@example.com, root@localhost and kenji@host.example",
        "version 1.2.3.4, 2026-11-28, 10:30-11:45, pages 100-200, 1-2-3",
        "4111 1111 1111 1112 and 1234 5678 9012 3456",
        "ISBN 978-3-16-148410-0, 17 C.F.R. 240.10-5, 1,234,567 dollars, 0.123456789",
        "DE00 3704 0044 0532 0130 00 and GB12 ABCD",
        "AKIAIOSFODNN7EXAMPLE is the one of the documentation",
        "000-12-3456 and 666-12-3456",
        "https://host/path/1234567890123456?x=1 and commit 0123456789abcdef0123",
        "A2 B2|c2 d2|e2 f2|g4|] 3/4 120",
        "192.168.10.20 to 10.0.0.255, port 65535",
    ],
)
def test_what_only_looks_like_personal_data_is_let_be(text: str) -> None:
    assert list(personal.find(text)) == []


def test_personal_data_is_counted_with_lines_and_shown_nowhere_in_full(tmp_path: Path, tokenizer: Tokenizer) -> None:
    secret = "taro.yamada@mail.co.jp"
    records = [pair("a", "b"), pair(f"Write to {secret} or {secret}"), pair("c", "d"), pair("x", f"ask {secret}")]
    found = report(tmp_path, tokenizer, [*records, {"prompt": f"broken {secret}"}])
    assert found.files[0].personal == (PersonalData("e-mail", 3, 2, (2, 4), ("t…@m….jp", "t…@m….jp")),)
    assert "  personal          3   e-mail in 2 records: line 2 t…@m….jp, line 4 t…@m….jp" in found.to_text()
    for face in (found.to_text(), json.dumps(found.to_json(), ensure_ascii=False), found.to_html()):
        assert secret not in face
    assert "Write to t…@m….jp" in found.to_html()


def test_a_sample_shows_which_tokens_are_learned(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (file,) = report(tmp_path, tokenizer, [pair("the stone", "水")]).files
    (sample,) = file.samples
    encoded = encode(
        PromptCompletion(prompt="the stone", completion="水", line=1), tokenizer, context_length=99, name=""
    )
    assert isinstance(encoded, list)
    shown = [piece for piece in sample.pieces if isinstance(piece, TokenPiece)]
    assert [piece.id for piece in shown] == encoded[0].ids
    assert [piece.learned for piece in shown] == encoded[0].supervised
    assert (shown[0].text, shown[0].special, shown[0].learned) == ("<s>", True, False)
    assert (shown[-1].text, shown[-1].special, shown[-1].learned) == ("</s>", True, True)
    assert "".join(piece.text for piece in shown if not piece.learned and not piece.special) == "the stone"


def test_a_long_sample_shows_its_beginning_what_is_learned_first_and_its_end(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    (file,) = report(tmp_path, tokenizer, [pair("q" * 900, "z" * 800)]).files
    (sample,) = file.samples
    hidden = [piece.num for piece in sample.pieces if isinstance(piece, Gap)]
    shown = [piece for piece in sample.pieces if isinstance(piece, TokenPiece)]
    assert (len(hidden), sum(hidden) + len(shown)) == (2, sample.num_tokens)
    assert next(piece.text for piece in shown if piece.learned) == "z"
    assert shown[-1].text == "</s>"


def test_the_same_records_give_the_same_sample_in_any_order(tmp_path: Path, tokenizer: Tokenizer) -> None:
    records = [pair(text) for text in sentences(40, ENGLISH, seed=9)]

    def shown(records: Sequence[object]) -> set[tuple[object, ...]]:
        (file,) = report(tmp_path, tokenizer, records).files
        return {sample.pieces for sample in file.samples if sample.why == "one of a few"}

    both = shown(records) & shown(records[::-1])
    assert len(both) >= 4  # the first and the longest may be among them, and are then called so


@pytest.mark.parametrize(
    ("lengths", "bins"),
    [
        ([3, 3, 5], [(3, 3, 2), (4, 4, 0), (5, 5, 1)]),
        ([7], [(7, 7, 1)]),
        ([0, 100], [(0, 4, 1), *((n, n + 4, 0) for n in range(5, 100, 5)), (100, 104, 1)]),
    ],
)
def test_the_histogram_counts_each_record_once_in_round_steps(
    lengths: list[int], bins: list[tuple[int, int, int]]
) -> None:
    read = RecordLengths()
    for line, length in enumerate(lengths, start=1):
        read.add(line, length, [length])
    assert [tuple(each) for each in read.histogram()] == bins


def test_many_lengths_fill_at_most_forty_bars_and_lose_none() -> None:
    read, chosen = RecordLengths(), random.Random(3)
    for line in range(500):
        read.add(line, chosen.randrange(17, 150_000), [])
    found = read.histogram()
    assert len(found) <= 40
    assert sum(each.num for each in found) == 500


def test_a_line_that_is_named_can_be_read_in_the_report(tmp_path: Path, tokenizer: Tokenizer) -> None:
    records: list[object] = [pair("a", "b"), {"prompt": "雪"}, pair("c", "d"), pair("c", "d"), "z" * 999]
    file: FileReport = report(tmp_path, tokenizer, records).files[0]
    assert file.excerpts[2] == '{"prompt": "雪"}'
    assert file.excerpts[3] == '{"prompt": "c", "completion": "d"}'
    assert (len(file.excerpts[5]), file.excerpts[5][-1]) == (401, "…")
    assert 1 not in file.excerpts


def test_near_overlap_is_json_and_so_is_all_the_rest(tmp_path: Path, tokenizer: Tokenizer) -> None:
    texts = sentences(20, ENGLISH, seed=10)
    found = report(tmp_path, tokenizer, [pair(text) for text in texts], [pair(texts[4] + " indeed")])
    told = json.loads(json.dumps(found.to_json()))
    (near,) = found.files[1].near.overlap
    assert isinstance(near, NearOverlap)
    assert told["files"][1]["near"]["overlap"] == [near._asdict()]
    language = found.files[0].fitness.languages[0].language
    assert told["files"][0]["fitness"]["languages"][0]["language"] == language
    assert told["files"][0]["samples"][0]["pieces"][0]["special"] is True
    assert "sequences" not in told["files"][0]
