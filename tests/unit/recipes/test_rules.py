"""Rule books become passages that keep their numbers; questions find their rule."""

import json
from collections import Counter
from pathlib import Path

import pytest

from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rule_numbers import SubsectionMarks, head_of, key_of, rule_and_place
from outcrop.recipes.rules import rules
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.sample_data import sample
from tests.support.small_tokenizers import byte_level


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.open(byte_level(tmp_path_factory.mktemp("base") / "t"))


def written(path: Path, text: str) -> list[Path]:
    path.write_text(text)
    return [path]


def texts(items: list[Item]) -> list[str]:
    return [item.record["input"] for item in items if isinstance(item, Kept)]


@pytest.mark.parametrize(
    ("line", "number", "title"),
    [
        ("§ 240.10b-5 Employment of manipulative devices.", "§ 240.10b-5", "Employment of manipulative devices"),
        ("## § 78aa–1. Special provision", "§ 78aa–1", "Special provision"),
        ("Rule 1.2(a). Members", "Rule 1.2(a)", "Members"),
        ("Rule G-37 Political contributions", "Rule G-37", "Political contributions"),
        ("Section 5. Prohibitions", "Section 5", "Prohibitions"),
        ("Sec. 12A. Registration", "Sec. 12A", "Registration"),
        ("Article IV", "Article IV", ""),
        ("ARTICLE 12 — Powers", "ARTICLE 12", "Powers"),
        ("1.2.3 Market hours", "1.2.3", "Market hours"),
        ("第3条（目的）", "第3条", "目的"),
        ("第三条の二　会員は、届け出る。", "第三条の二", ""),
    ],
)  # fmt: skip
def test_a_line_that_begins_a_rule_gives_its_number(line: str, number: str, title: str) -> None:
    head = head_of(line, is_heading=line.startswith(("#", "§")), alone=True)
    assert head is not None
    assert (head.number, head.title) == (number, title)


@pytest.mark.parametrize(
    "line",
    [
        "Section 78j(b) of this title shall apply to any person who does so.",
        "Rule 10b-5 makes it unlawful to lie; see also Rule 14a-9,",
        "Article 5 of the Treaty was amended in the year 1998 by all of its members, as follows:",
        "3.5 percent of the shares are held by others.",
        "(a) In general",
        "第三者は、これを知らない。",
        "2.1 million people live there, and more come.",
    ],
)
def test_a_line_that_only_names_a_rule_begins_none(line: str) -> None:
    assert head_of(line, is_heading=False, alone=True) is None


def test_marks_of_subsections_stand_in_each_other() -> None:
    marks = SubsectionMarks()
    signs = "(a) (1) (A) (i) (ii) (I) (aa) (bb) (II) (B) (2) (b) (c) (h) (1) (i) (1) (j)"
    assert [marks.read(f"{sign} text") for sign in signs.split(" ")] == [
        "(a)", "(a)(1)", "(a)(1)(A)", "(a)(1)(A)(i)", "(a)(1)(A)(ii)", "(a)(1)(A)(ii)(I)", "(a)(1)(A)(ii)(I)(aa)",
        "(a)(1)(A)(ii)(I)(bb)", "(a)(1)(A)(ii)(II)", "(a)(1)(B)", "(a)(2)", "(b)", "(c)", "(h)", "(h)(1)", "(i)",
        "(i)(1)", "(j)",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("15 U.S.C. § 78c(a)", "Section 78c(a)"),
        ("17 CFR 240.10b-5", "§ 240.10b–5"),
        ("第三条", "第3条"),
        ("第二十三条の二", "第２３条の２"),
        ("Rule 1.2 (a)", "rule 1.2(a)."),
        ("15-USC-78f", "§ 78f"),
    ],
)
def test_two_ways_to_write_a_number_are_one(one: str, other: str) -> None:
    assert key_of(one) == key_of(other)


def test_a_number_is_parted_into_the_rule_and_the_place_in_it() -> None:
    assert rule_and_place("§ 78c(a)(5)") == ("78c", "(a)(5)")
    assert rule_and_place("第3条") == ("第3条", "")


BOOK = """Preface without a number.

# CHAPTER 1 General

## Rule 1.1 Purpose

These rules protect members.

## Rule 1.2 Members

(a) A member pays a fee. The fee is due in May.

(b) A member votes. Votes are counted by hand, and nobody votes twice in one meeting of the members.

# CHAPTER 2 Trading

## Rule 2.1 Hours
"""


def test_passages_keep_number_title_and_the_headings_above(tmp_path: Path, tokenizer: Tokenizer) -> None:
    items = list(rules(written(tmp_path / "book.md", BOOK), tokenizer=tokenizer, tokens=1000))
    assert texts(items) == [
        "CHAPTER 1 General\nRule 1.1. Purpose\n\nThese rules protect members.",
        "CHAPTER 1 General\nRule 1.2. Members\n\n(a) A member pays a fee. The fee is due in May.\n\n(b) A member votes. "
        "Votes are counted by hand, and nobody votes twice in one meeting of the members.",
    ]
    assert [(item.reason, item.detail) for item in items if isinstance(item, Dropped)] == [
        ("text before the first numbered rule", ""),
        ("a rule without text", "Rule 2.1"),
    ]
    assert [item.group for item in items if isinstance(item, Kept)] == ["1.1", "1.2"]


def test_a_long_rule_is_parted_and_each_part_has_its_own_number(tmp_path: Path, tokenizer: Tokenizer) -> None:
    items = list(rules(written(tmp_path / "book.md", BOOK), tokenizer=tokenizer, tokens=150))
    assert [item.fields["number"] for item in items if isinstance(item, Kept)] == [
        "Rule 1.1",
        "Rule 1.2",
        "Rule 1.2(b)",
    ]
    assert texts(items)[2].startswith("CHAPTER 1 General\nRule 1.2(b). Members\n\n(b) A member votes.")
    assert all(len(prompt_format.encode_text(tokenizer, text)) <= 150 for text in texts(items))


def test_japanese_articles_and_plain_text_are_read(tmp_path: Path, tokenizer: Tokenizer) -> None:
    text = "第一章　総則\n\n（目的）\n第一条　この規程は、取引を定める。\n２　会員は、これを守る。\n\n第二条（定義）　用語は次による。\n"
    items = list(rules(written(tmp_path / "book.txt", text), tokenizer=tokenizer, tokens=1000))
    assert texts(items) == [
        "第一章 総則\n第一条\n\nこの規程は、取引を定める。\n２　会員は、これを守る。",
        "第一章 総則\n第二条. 定義\n\n用語は次による。",
    ]


def test_sections_of_an_article_are_named_with_it(tmp_path: Path, tokenizer: Tokenizer) -> None:
    text = "Article IV\n\nSection 1\n\nFull faith.\n\nSection 2\n\nCitizens.\n\nArticle V\n\nThe Congress.\n"
    items = list(rules(written(tmp_path / "book.txt", text), tokenizer=tokenizer, tokens=1000))
    numbers = [item.fields["number"] for item in items if isinstance(item, Kept)]
    assert numbers == ["Article IV Section 1", "Article IV Section 2", "Article V"]


def questions(path: Path) -> Path:
    rows = [
        {"question": "When is the fee due?", "answer": "In May.", "rule": "Rule 1.2(a)"},
        {"question": "Who votes?", "answer": "Members.", "rule": "1.2 (b)"},
        {"question": "What of hours?", "answer": "None.", "rule": "Rule 9.9"},
        {"question": "Why?", "answer": "", "rule": "Rule 1.1"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("with_passage", [True, False])
def test_questions_find_the_passage_of_their_rule(tmp_path: Path, tokenizer: Tokenizer, with_passage: bool) -> None:
    items = list(
        rules(
            written(tmp_path / "book.md", BOOK),
            tokenizer=tokenizer,
            tokens=150,
            questions=questions(tmp_path / "q.jsonl"),
            with_passage=with_passage,
        )
    )
    pairs = [(item.record["prompt"], item.record["completion"]) for item in items if isinstance(item, Kept)]
    assert [completion for _, completion in pairs] == ["In May.", "Members."]
    if with_passage:
        assert pairs[0][0].endswith("(a) A member pays a fee. The fee is due in May.\n\nWhen is the fee due?")
        assert pairs[1][0].startswith("CHAPTER 1 General\nRule 1.2(b). Members")
    else:
        assert [prompt for prompt, _ in pairs] == ["When is the fee due?", "Who votes?"]
    assert [item.group for item in items if isinstance(item, Kept)] == ["1.2", "1.2"]
    assert [(item.reason, item.detail) for item in items if isinstance(item, Dropped)] == [
        ("its rule is not in the book", "Rule 9.9"),
        ("no answer", ""),
    ]


def test_every_section_of_the_securities_laws_keeps_its_number(tmp_path: Path, tokenizer: Tokenizer) -> None:
    lines = (
        sample("us-securities-law/sections.jsonl").read_text().splitlines()[1::12]
    )  # the first of all ends with the heading of another part
    first = [json.loads(line) for line in lines]
    items = list(rules(written(tmp_path / "laws.jsonl", "\n".join(lines)), tokenizer=tokenizer, tokens=200_000))
    assert [item for item in items if isinstance(item, Dropped)] == []
    kept = [item for item in items if isinstance(item, Kept)]
    assert len(kept) == len(first) == 26
    for item, row in zip(kept, first, strict=True):
        assert row["section"].startswith(item.fields["number"])
        assert key_of(item.fields["number"]) == key_of(row["id"]), row["id"]
    # No letter of the law is lost.
    letters = Counter("".join(row["text"] for row in first).replace("#", "").replace("\n", "").replace(" ", ""))
    bodies = Counter(
        "".join(str(item.record["input"]).partition("\n\n")[2] for item in kept).replace("\n", "").replace(" ", "")
    )
    assert letters - bodies == Counter()
