"""Layouts that the sample PDFs do not have, drawn by hand: columns, running heads, hyphens, lines from top to bottom."""

from pathlib import Path

import pytest

from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.section import BadDocument, Section
from tests.support.pdf_files import PdfFile, Placed, column

LEFT = [
    "Rivers begin as small streams in the hills, where the",
    "rain collects and runs together over stones. They take",
    "the colour of the ground they cross, and they carry a",
    "little of it with them to the plain. A river that is well-",
    "known has a name in every town, and the name of the",
    "town is often made from it. In winter the wa-",
    "ter is low and clear; in spring it is brown and",
]
RIGHT = [
    "rises over its banks. The fields beside it are rich for",
    "that reason, and people have always lived there. They",
    "built dams and bridges, and they asked the water to",
    "turn their wheels. When the mills had gone, the weirs",
    "remained, and children swim in the pools above them",
    "today. Nobody remembers who laid the first stone, but",
    "the well-known song says that it was a miller's wife.",
]
RIVERS = (
    "Rivers begin as small streams in the hills, where the rain collects and runs together over stones. They take the "
    "colour of the ground they cross, and they carry a little of it with them to the plain. A river that is well-known "
    "has a name in every town, and the name of the town is often made from it. In winter the water is low and clear; in "
    "spring it is brown and rises over its banks. The fields beside it are rich for that reason, and people have always "
    "lived there. They built dams and bridges, and they asked the water to turn their wheels. When the mills had gone, "
    "the weirs remained, and children swim in the pools above them today. Nobody remembers who laid the first stone, "
    "but the well-known song says that it was a miller's wife."
)
CAT = [
    "　吾輩は猫である。名前はまだ無い。どこで生れた",
    "かとんと見当がつかぬ。何でも薄暗いじめじめした",
    "所でニャーニャー泣いていた事だけは記憶している。",
    "吾輩はここで始めて人間というものを見た。しかも",
    "あとで聞くとそれは書生という人間中で一番獰悪な",
    "種族であったそうだ。この書生というのは時々我々",
    "を捕えて煮て食うという話である。しかしその当時",
    "は何という考もなかったから別段恐しいとも思わな",
    "かった。ただ彼の掌に載せられてスーと持ち上げら",
    "れた時何だかフワフワした感じがあったばかりであ",
]


def text_of(path: Path) -> str:
    return "".join(part.text for part in read_pdf(path) if isinstance(part, Section))


@pytest.mark.parametrize("by_row", [True, False], ids=["drawn row by row", "drawn column by column"])
def test_two_columns_are_read_one_after_the_other(tmp_path: Path, by_row: bool) -> None:
    left, right = column(60, 740, LEFT), column(320, 740, RIGHT)
    body = [line for pair in zip(left, right, strict=True) for line in pair] if by_row else [*left, *right]
    path = PdfFile([[Placed(60, 780, "Of Rivers", 18), *body, Placed(290, 40, "1", 9)]]).write(tmp_path / "two.pdf")
    assert text_of(path) == f"Of Rivers\n\n{RIVERS}\n"


def test_two_columns_of_japanese_are_read_one_after_the_other(tmp_path: Path) -> None:
    left, right = column(60, 740, CAT[:5], step=16), column(320, 740, CAT[5:], step=16)
    page = [line for pair in zip(left, right, strict=True) for line in pair]
    assert text_of(PdfFile([page]).write(tmp_path / "cat.pdf")) == "".join(CAT).strip() + "\n"


def test_japanese_from_top_to_bottom_is_read_from_right_to_left(tmp_path: Path) -> None:
    page = [Placed(520 - 18 * number, 760, line, 10, vertical=True) for number, line in enumerate(CAT)]
    assert text_of(PdfFile([page]).write(tmp_path / "cat.pdf")) == "".join(CAT).strip() + "\n"


def test_three_columns_under_a_heading_each_have_their_place(tmp_path: Path) -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    columns = [
        column(60 + 170 * side, 700, [f"{word} line of column {side + 1} here" for word in words]) for side in range(3)
    ]
    page = [
        Placed(60, 760, "A heading over all of the three columns", 20),
        *(one for row in zip(*columns, strict=True) for one in row),
    ]
    text = text_of(PdfFile([page]).write(tmp_path / "three.pdf"))
    places = [text.index(f"{word} line of column {side}") for side in (1, 2, 3) for word in words]
    assert places == sorted(places)


def test_cells_of_a_table_stay_in_their_rows(tmp_path: Path) -> None:
    rows = [("Year", "Sales", "Costs"), *((str(2000 + n), f"{n * 7},000", f"{n * 5},100") for n in range(8))]
    page = [
        Placed(60 + 150 * at, 700 - 14 * number, cell) for number, row in enumerate(rows) for at, cell in enumerate(row)
    ]
    text = text_of(PdfFile([page]).write(tmp_path / "table.pdf"))
    assert text.splitlines()[:3] == ["Year | Sales | Costs", "2000 | 0,000 | 0,100", "2001 | 7,000 | 5,100"]


def book(num_pages: int, *, head: str = "THE LONG RIVER", first: int = 1) -> PdfFile:
    pages = []
    for number in range(num_pages):
        body = [
            f"Line {line} of what page {'abcdefghijklmnopqrstuvwxyz'[number]} has to say to the reader"
            for line in "xyz"
        ]
        shown = first + number
        numbered = f"{shown} {head}" if number % 2 else f"{head} {shown}"
        pages.append([Placed(60, 800, numbered, 9), *column(60, 740, body), Placed(290, 40, f"- {shown} -", 9)])
    return PdfFile(pages)


@pytest.mark.parametrize("first", [1, 17])
def test_running_heads_and_page_numbers_go_and_pages_stay(tmp_path: Path, first: int) -> None:
    sections = [part for part in read_pdf(book(6, first=first).write(tmp_path / "b.pdf")) if isinstance(part, Section)]
    text = "".join(section.text for section in sections)
    assert "RIVER" not in text
    assert "- " not in text
    assert [section.page for section in sections] == [1, 2, 3, 4, 5, 6]
    assert all(f"page {'abcdef'[section.page - 1]} has" in section.text for section in sections if section.page)


def test_heads_of_chapters_go_though_each_is_on_few_pages(tmp_path: Path) -> None:
    pages = [*book(4, head="I. The Spring").pages, *book(4, head="II. The Mouth", first=5).pages]
    text = text_of(PdfFile(pages).write(tmp_path / "b.pdf"))
    assert "Spring" not in text
    assert "Mouth" not in text


def rules(num_pages: int, first_line: str, *, apart: float) -> PdfFile:
    """Pages that each begin with a line of their own number."""
    body = ["it shall keep a record of each order", "for six years,", "and show it when it is asked for."]
    pages = []
    for number in range(1, num_pages + 1):
        own = [f"Member {'abcdefghi'[number - 1] * 3}: {line}" for line in body]
        pages.append([Placed(60, 740, first_line.format(number, number * 7919), 10), *column(60, 740 - apart, own)])
    return PdfFile(pages)


@pytest.mark.parametrize(
    ("first_line", "apart"),
    [
        ("Rule {0}", 30),
        ("Rule {0}.", 30),
        ("§ {0}", 30),
        ("Section {1} Orders", 30),
        ("Document {0} tells of the number {1}.", 14),
        ("The balance of the account is {0}", 14),
        ("{0} orders were kept in this month", 14),
    ],
)
def test_first_lines_that_differ_by_their_numbers_stay(tmp_path: Path, first_line: str, apart: float) -> None:
    text = text_of(rules(9, first_line, apart=apart).write(tmp_path / "rules.pdf"))
    for number in range(1, 10):
        assert " ".join(first_line.format(number, number * 7919).split()) in " ".join(text.split())


@pytest.mark.parametrize(
    "head",
    ["Annual Report 2023 | {0}", "{0} | Annual Report 2023", "Chapter 3", "Page {0} of 9", "Rule book, page {0}"],
)
def test_running_heads_with_the_number_of_the_page_go(tmp_path: Path, head: str) -> None:
    text = text_of(rules(9, head, apart=40).write(tmp_path / "report.pdf"))
    assert [word for word in ("Annual", "Chapter", "Page", "book") if word in text] == []


def test_a_number_at_the_edge_that_counts_no_pages_stays(tmp_path: Path) -> None:
    page = [*column(60, 740, ["The answer that the machine gave at last was"]), Placed(60, 600, "42")]
    assert text_of(PdfFile([page]).write(tmp_path / "b.pdf")).endswith("42\n")


def test_a_paragraph_that_goes_on_over_the_page_is_one_text(tmp_path: Path) -> None:
    pages = [column(60, 740, LEFT[:6]), column(60, 740, LEFT[6:])]
    sections = [part for part in read_pdf(PdfFile(pages).write(tmp_path / "b.pdf")) if isinstance(part, Section)]
    assert [section.page for section in sections] == [1, 2]
    assert "In winter the water is low and clear" in sections[0].text + sections[1].text


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["a word that is bro-", "ken at its end"], "a word that is broken at its end"),
        (["the Schwarz-", "Weiß-Bild"], "the Schwarz-Weiß-Bild"),
        (["in the years 1990-", "1995 it rose"], "in the years 1990-1995 it rose"),
        (["a self-made man who is self-", "made too"], "a self-made man who is self-made too"),
        (["an eﬃcient oﬃce", "of ﬁfty ﬂies"], "an efficient office of fifty flies"),
    ],
)
def test_words_at_the_end_of_a_line_are_made_whole(tmp_path: Path, lines: list[str], text: str) -> None:
    from outcrop.documents.pdf.page_layout import PageLine
    from outcrop.documents.pdf.paragraphs import BookWords, paragraphs_of

    placed = [PageLine(line, 0, -12.0 * n, 200, 10 - 12.0 * n, 0, 10, 1) for n, line in enumerate(lines)]
    assert [each.text for each in paragraphs_of(placed, BookWords(), body=10)] == [text]


def test_pages_of_pictures_are_told_and_a_book_of_them_is_refused(tmp_path: Path) -> None:
    parts = list(read_pdf(PdfFile([column(60, 740, LEFT), []], pictures={1}).write(tmp_path / "b.pdf")))
    assert [getattr(part, "reason", "") for part in parts] == ["", "only pictures, no text"]
    with pytest.raises(BadDocument, match=r"^c\.pdf: a PDF of pictures: none of its 2 pages has text\. Have it read"):
        list(read_pdf(PdfFile([[], []], pictures={0, 1}).write(tmp_path / "c.pdf")))


def test_a_blank_book_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match=r"^b\.pdf: an empty PDF: its only page has no text\. Leave it out\.$"):
        list(read_pdf(PdfFile([[]]).write(tmp_path / "b.pdf")))
