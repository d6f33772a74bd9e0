"""Each recipe keeps the rule of its article, item by item."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from outcrop.recipes.dialogue import dialogue
from outcrop.recipes.dolly import dolly
from outcrop.recipes.readings import fits, folded, num_morae
from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.verse import verse
from tests.support.small_tokenizers import TEST_DATA


def jsonl(folder: Path, *rows: Any, name: str = "source.jsonl") -> list[Path]:
    (folder / name).write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return [folder / name]


def records(items: Sequence[Item]) -> list[Any]:
    return [item.record for item in items if isinstance(item, Kept)]


def reasons(items: Sequence[Item]) -> Counter[str]:
    return Counter(item.reason for item in items if isinstance(item, Dropped))


def shared(*names: str) -> list[Path]:
    paths = [TEST_DATA / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip(f"{paths[0]} is not here; set OUTCROP_TEST_DATA")
    return paths


def test_dolly_without_knowledge_is_the_instruction_and_with_it_ctc_s_form(tmp_path: Path) -> None:
    rows = [
        {"output": "東京です。", "input": "", "index": "0", "category": "open_qa", "instruction": "日本の首都は?"},
        {
            "output": "1603年",
            "input": "江戸は1603年から。",
            "index": "1",
            "category": "closed_qa",
            "instruction": "いつから?",
        },
        {"instruction": "Name one.", "context": "", "response": "An apple.", "category": "brainstorming"},
        {"instruction": "Sum up.", "context": "A long text.", "response": "A text.", "category": "summarization"},
    ]
    assert records(list(dolly(jsonl(tmp_path, *rows)))) == [
        {"prompt": "日本の首都は?", "completion": "東京です。"},
        {"prompt": "入力:いつから?\n知識:江戸は1603年から。", "completion": "1603年"},
        {"prompt": "Name one.", "completion": "An apple."},
        {"prompt": "入力:Sum up.\n知識:A long text.", "completion": "A text."},
    ]


def test_dolly_leaves_out_what_has_no_instruction_or_answer(tmp_path: Path) -> None:
    rows = [{"instruction": "a"}, {"output": "b", "input": ""}, 1, {"instruction": 5, "output": "b"}]
    assert reasons(list(dolly(jsonl(tmp_path, *rows)))) == {
        "no text in the column output or response or answer or answers": 1,
        "no text in the column instruction or question": 2,
        "no JSON object": 1,
    }


def test_questions_of_jsquad_are_asked_with_their_paragraph() -> None:
    items = list(dolly(shared("jsquad/valid.jsonl")))
    assert (len(records(items)), len({item.group for item in items if isinstance(item, Kept)})) == (4442, 1145)
    assert records(items)[1]["prompt"].startswith(
        "入力:梅雨とは何季の一種か?\n知識:梅雨 [SEP] 梅雨（つゆ、ばいう）は、"
    )
    assert records(items)[1]["completion"] == "雨季"


def test_questions_about_one_context_are_one_group(tmp_path: Path) -> None:
    rows = [{"instruction": f"q{n}", "input": context, "output": "a"} for n, context in enumerate(("x", "y", " x\n"))]
    groups = [item.group for item in dolly(jsonl(tmp_path, *rows)) if isinstance(item, Kept)]
    assert groups[0] == groups[2] != groups[1]


def test_dialogues_get_the_instruction_that_aws_gave_them() -> None:
    (file,) = shared("dialogsum/dev.first400.jsonl")
    (aws,) = shared("dialogsum/bedrock.train1000.jsonl")
    made = records(list(dialogue([file])))
    first = json.loads(file.read_text().splitlines()[0])
    (opening,) = {json.loads(line)["prompt"].partition("\n\n")[0] for line in aws.read_text().splitlines()}
    assert made[0] == {"prompt": f"{opening}\n\n{first['dialogue']}", "completion": first["summary"]}
    assert len(made) == 400


def test_a_doctor_s_dialogue_names_its_section(tmp_path: Path) -> None:
    row = {"ID": "0", "section_header": "ALLERGY", "section_text": "None.", "dialogue": "Doctor: Any?\r\nPatient: No."}
    assert records(list(dialogue(jsonl(tmp_path, row)))) == [
        {
            "prompt": "Summarize the following doctor-patient conversation as the ALLERGY section.\n\n"
            "Doctor: Any?\r\nPatient: No.",
            "completion": "None.",
        }
    ]


def test_the_first_rows_are_taken_and_the_others_counted(tmp_path: Path) -> None:
    rows = [{"dialogue": "" if n == 1 else f"talk {n}", "summary": "s"} for n in range(10)]
    made = list(dialogue(jsonl(tmp_path, *rows), first=3))
    assert [record["prompt"][-1] for record in records(made)] == ["0", "2", "3"]
    assert reasons(made) == {"after the first 3 rows": 6, "no text in the column dialogue": 1}
    assert len(records(list(dialogue(jsonl(tmp_path, *rows), first=0)))) == 9


@pytest.mark.parametrize(
    ("reading", "morae"),
    [("きょうのつき", 5), ("キョウ", 2), ("がっこう", 4), ("か\u3099", 1), ("こゝろ", 3), ("秋", None), ("", None), ("a", None), ("ゆ き", None)],
)  # fmt: skip
def test_morae_are_those_one_would_clap(reading: str, morae: int | None) -> None:
    assert num_morae(reading) == morae


@pytest.mark.parametrize(
    ("text", "reading", "may"),
    [
        ("秋の田の", "あきのたの", True),
        ("人知らずこそ", "ひとしれずこそ", False),
        ("百敷や", "ももしきの", False),
        ("苫をあらみ", "とまをあらみ", True),
        ("もみぢ葉", "もみちば", True),  # voicing marks are the edition's own
        ("カリガネ", "かりがね", True),
        ("月", "", False),
    ],
)
def test_a_reading_must_hold_the_kana_of_its_text(text: str, reading: str, may: bool) -> None:
    assert fits([text], [reading]) is may


def test_folding_takes_away_what_editions_differ_in() -> None:
    assert folded("あまのかぐやま ガ") == folded("あまの かくやまか")


def test_every_verse_has_its_morae_and_the_wrong_readings_are_found() -> None:
    made = list(verse(shared("hyakunin-isshu/hyakunin.jsonl")))
    assert (len(records(made)), reasons(made)) == (
        61,
        {"not 5-7-5-7-7 morae": 34, "a reading that cannot be the text's": 5},
    )
    assert records(made)[0] == {
        "prompt": "上の句: 春過ぎて 夏来にけらし 白妙の\n下の句:",
        "completion": " 衣干すてふ 天の香具山",
    }
    assert len(records(list(verse(shared("hyakunin-isshu/hyakunin.jsonl"), any_morae=True)))) == 95


def test_the_same_poem_of_two_files_is_one_group() -> None:
    files = shared("hyakunin-isshu/data.csv", "waka-hachidaishu/waka.jsonl")
    items = [item for item in verse(files) if isinstance(item, Kept)]
    groups: dict[str, set[str]] = {}
    for item in items:
        groups.setdefault(item.group, set()).add(item.origin.partition(":")[0])
    assert sum(len(files) == 2 for files in groups.values()) > 20


def test_poems_that_share_a_verse_through_others_are_one_group(tmp_path: Path) -> None:
    upper, other = ["ふるゆきの", "みのしろころも", "うちきつつ"], ["はるたつと", "ききつるからに", "かすかやま"]
    lower, last = ["はるきにけりと", "おとろかれぬる"], ["わがころもては", "つゆにぬれつつ"]
    rows = [{"ku": [*upper, *lower]}, {"ku": [*other, *last]}, {"ku": [*upper, *last]}]
    assert len({item.group for item in verse(jsonl(tmp_path, *rows)) if isinstance(item, Kept)}) == 1
    assert len({item.group for item in verse(jsonl(tmp_path, *rows[:2])) if isinstance(item, Kept)}) == 2


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"upper": "ふるゆきの みのしろころも うちきつつ"}, "no upper and lower verse"),
        ({"ku": ["ふるゆきの", "みのしろころも"]}, "no upper and lower verse"),
        (
            {"upper": "降る雪の みのしろころも うちきつつ", "lower": "はるきにけりと おとろかれぬる"},
            "a reading that is not kana",
        ),
        (
            {
                "ku": ["ふるゆきの", "みのしろころも", "うちきつつ", "はるきにけりと", "おとろかれぬる"],
                "mora": [5, 7, 5, 7, 8],
            },
            "another number of morae than the source tells",
        ),
        (
            {"ku": ["ふるゆきのの", "みのしろころも", "うちきつつ", "はるきにけりと", "おとろかれぬる"]},
            "not 5-7-5-7-7 morae",
        ),
    ],
)
def test_a_verse_that_is_none_is_left_out_with_its_reason(tmp_path: Path, row: Any, reason: str) -> None:
    assert reasons(list(verse(jsonl(tmp_path, row)))) == {reason: 1}
