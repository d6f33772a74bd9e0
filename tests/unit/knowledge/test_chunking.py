"""Where documents are cut, and what a passage carries of its place."""

from collections.abc import Sequence

from outcrop.documents.section import Section
from outcrop.knowledge.chunking.document_text import DocumentText
from outcrop.knowledge.chunking.strategy import Chunking, ChunkingStrategy, chunks_of
from outcrop.knowledge.chunking.token_counts import estimated_counts
from outcrop.knowledge.ingestion.passage_making import parents_of, passages_of
from outcrop.knowledge.passages import DocumentKey, Passage

KEY = DocumentKey("SOURCE0001", "s3://rules/book.md")


def document(*texts: str, headings: Sequence[tuple[str, ...]] = (), pages: Sequence[int] = ()) -> DocumentText:
    return DocumentText.of(
        Section(
            document="book.md",
            headings=headings[number] if headings else (),
            page=pages[number] if pages else None,
            place="p",
            start=0,
            text=text,
        )
        for number, text in enumerate(texts)
    )


def passages(text: DocumentText, chunking: Chunking) -> list[Passage]:
    chunks = chunks_of(text, chunking, estimated_counts, None)
    found = passages_of(KEY, text, chunks, chunking)
    assert all(text.text[each.start : each.end] == each.text for each in found)
    return found


def texts(text: DocumentText, chunking: Chunking) -> list[str]:
    return [passage.text for passage in passages(text, chunking)]


def fixed(most: int, overlap: int = 0) -> Chunking:
    return Chunking(strategy=ChunkingStrategy.FIXED_SIZE, most_tokens=most, overlap_tokens=overlap)


def test_sentences_stay_whole_in_english_and_japanese() -> None:
    english = document("Trading halts at noon. It goes on at one. Members are told by Mr. Doe.")
    assert texts(english, fixed(14)) == [
        "Trading halts at noon. It goes on at one.",
        "Members are told by Mr. Doe.",
    ]
    japanese = document("取引は停止する。会員は「止める。」と言う。翌日に再開する。")
    assert texts(japanese, fixed(14)) == ["取引は停止する。", "会員は「止める。」と言う。", "翌日に再開する。"]


def test_the_last_sentences_are_repeated_as_far_as_the_overlap_goes() -> None:
    text = document("One is one. Two is two. Three is three. Four is four.")
    assert texts(text, fixed(9, overlap=4)) == [
        "One is one. Two is two.",
        "Two is two. Three is three.",
        "Three is three. Four is four.",
    ]


def test_a_table_is_one_passage_where_it_fits_and_is_cut_between_rows_where_not() -> None:
    table = "| Bond | Coupon |\n|---|---|\n| A | 3.5 |\n| B | 4.2 |\n"
    text = document(f"Prices are these.\n\n{table}\nThey are of today.")
    assert table.strip() in texts(text, fixed(50))[0]
    parts = texts(text, fixed(12))
    assert [part.splitlines() for part in parts][-1] == ["| B | 4.2 |", "", "They are of today."]
    assert all(line in table or "are" in line for part in parts for line in part.splitlines())


def test_a_heading_begins_a_passage_of_its_own_but_no_scrap() -> None:
    sections = ("# A\n\nThis is a paragraph under A.\n\n", "# B\n\nShort.\n\n", "# C\n\nThis is one under C too.\n")
    text = document(*sections, headings=[("A",), ("B",), ("C",)])
    found = passages(text, Chunking(most_tokens=40))
    assert [(each.headings, each.text.split()[1]) for each in found] == [(("A",), "A"), (("B",), "B")]
    assert [each.headings for each in passages(text, fixed(40))] == [("A",)]


def test_a_rule_book_is_cut_at_its_rules_and_each_passage_knows_its_number() -> None:
    rules = "\n\n".join(
        f"§ 240.10b-{number} Title {number}\n\nThis is what rule {number} says to members of the exchange."
        for number in range(3, 7)
    )
    found = passages(document(rules), Chunking(most_tokens=60))
    assert [each.rule_number for each in found] == [f"§ 240.10b-{number}" for number in range(3, 7)]
    assert all(each.text.startswith(str(each.rule_number)) for each in found)
    (alone,) = passages(document(rules), Chunking(strategy=ChunkingStrategy.NONE))
    assert (alone.rule_number, alone.page) == (None, None)


def test_numbers_at_the_beginning_of_a_line_or_two_make_no_rule_book() -> None:
    found = passages(document("Section 5\n\nIs the only one.\n\n1.5 million people came."), Chunking())
    assert [each.rule_number for each in found] == [None]


def test_a_document_of_one_rule_has_its_number_where_its_heading_calls_it_a_rule() -> None:
    for title, number in (("§ 78c. Definitions", "§ 78c"), ("Rule 2 Halts", "Rule 2"), ("第3条（報告）", "第3条")):
        found = passages(document(f"# {title}\n\nA member shall report.", headings=[(title,)]), Chunking())
        assert [each.rule_number for each in found] == [number]
    found = passages(document("# 1.2 Scope\n\nA member shall report.", headings=[("1.2 Scope",)]), Chunking())
    assert [each.rule_number for each in found] == [None]


def test_a_passage_knows_the_page_on_which_it_begins() -> None:
    text = document("First page here. ", "Second page here. ", "Third page here.", pages=[1, 2, 3])
    assert [each.page for each in passages(text, fixed(5))] == [1, 2, 3]


def test_children_name_their_parent_whose_text_is_kept() -> None:
    text = document("One is one. Two is two. Three is three. Four is four.")
    chunking = Chunking(strategy=ChunkingStrategy.HIERARCHICAL, most_tokens=4, parent_tokens=8, overlap_tokens=0)
    chunks = chunks_of(text, chunking, estimated_counts, None)
    assert parents_of(text, chunks) == ["One is one. Two is two.", "Three is three. Four is four."]
    found = passages_of(KEY, text, chunks, chunking)
    assert [(each.text, each.parent) for each in found] == [
        ("One is one.", 0), ("Two is two.", 0), ("Three is three.", 1), ("Four is four.", 1),
    ]  # fmt: skip


def test_a_semantic_chunk_ends_where_the_meaning_changes() -> None:
    text = document("Cats purr. Cats sleep. Bonds pay. Bonds mature. Bonds default.")
    chunking = Chunking(strategy=ChunkingStrategy.SEMANTIC, most_tokens=100, percentile=90, buffer=0)

    def embed(windows: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if "Cats" in window else [0.0, 1.0] for window in windows]

    chunks = chunks_of(text, chunking, estimated_counts, embed)
    assert [text.text[span.start : span.end] for span in chunks.spans] == [
        "Cats purr. Cats sleep.",
        "Bonds pay. Bonds mature. Bonds default.",
    ]


def test_ids_of_passages_are_the_same_again_and_all_different() -> None:
    text = document("Same. Same. Same. Same.")
    first, again = passages(text, fixed(2)), passages(text, fixed(2))
    assert [each.chunk_id for each in first] == [each.chunk_id for each in again]
    assert len({each.chunk_id for each in first}) == len(first) == 4


def test_a_word_longer_than_a_chunk_is_cut_between_letters() -> None:
    assert "".join(texts(document("x" * 1000), fixed(10))) == "x" * 1000


def test_a_long_document_is_cut_in_one_pass() -> None:
    words = "The member shall report each trade within ten seconds of its execution. " * 20_000
    found = texts(document(words), Chunking())
    assert sum(len(each) for each in found) > 0.98 * len(words)
