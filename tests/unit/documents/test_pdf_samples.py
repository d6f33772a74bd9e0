"""The PDFs of py-pdf/sample-files and Amazon's synthetic 10-K: text, or one clear reason, for each."""

from functools import cache
from pathlib import Path

import pytest

from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.section import BadDocument, Section, Unread
from tests.support.sample_data import sample

LOREM = (
    "Lorem ipsum dolor sit amet, consetetur sadipscing elitr, sed diam nonumy eirmod tempor invidunt ut labore et dolore "
    "magna aliquyam erat, sed diam voluptua. At vero eos et accusam et justo duo dolores et ea rebum. Stet clita kasd "
    "gubergren, no sea takimata sanctus est Lorem ipsum dolor sit amet."
)
BLIND = "Hello, here is some text without a meaning. This text should show what a printed text will look like at this"

TEXTS = {
    "001-trivial__minimal-document": (1, LOREM),
    "002-trivial-libre-office-writer__002-trivial-libre-office-writer": (1, LOREM),
    "003-pdflatex-image__pdflatex-image": (1, "1 Your Chapter\n\nLorem ipsum dolor sit amet, consetetur sadipscing"),
    "004-pdflatex-4-pages__pdflatex-4-pages": (4, BLIND),
    "006-pdflatex-outline__pdflatex-outline": (4, f"1 Foo\n\n{BLIND}"),
    "007-imagemagick-images__imagemagick-images": (4, "Background\n\nBackground\n\nBackground\n\nBackground\n"),
    "009-pdflatex-geotopo__GeoTopo-komprimiert": (117, "Einführung in die\nGeometrie und Topologie"),
    "010-pdflatex-forms__pdflatex-forms": (1, "Name Check Submit"),
    "011-google-doc-document__google-doc-document": (1, "Example document\n\nBeautiful is better than ugly."),
    "013-reportlab-overlay__reportlab-overlay": (1, "Name: Foo Bar"),
    "015-arabic__habibi": (1, "حَبيبي habibi"),
    "015-arabic__habibi-rotated": (4, "حَبيبي habibi"),
    "016-libre-office-link__libre-office-link": (1, "This is a link to an awesome blog."),
    "020-xmp__output_with_metadata_pymupdf": (1, "Hello, World!"),
    "021-pdfa__crazyones-pdfa": (1, "The Crazy Ones\n\nOctober 14, 1998\n\nHeres to the crazy ones."),
    "024-annotations__annotated_pdf": (1, "Some text."),
    "025-attachment__with-attachment": (1, LOREM),
    "octank_financial_10K": (120, "EXHIBITS, FINANCIAL STATEMENT SCHEDULES including Financial Statement Schedules"),
}
REASONS = {
    "005-libreoffice-writer-password__libreoffice-writer-password": "{}: an encrypted PDF, which opens with its "
    "password only. Save it without one: qpdf --password=PASSWORD --decrypt FILE NEW.pdf",
    "019-grayscale-image__grayscale-image": "{}: a PDF of pictures: its only page has no text. "
    "Have it read first: ocrmypdf FILE NEW.pdf",
}


@cache
def parts_of(path: Path) -> list[Section | Unread]:
    return list(read_pdf(path))


def pages_of(name: str) -> dict[int, str]:
    pages: dict[int, str] = {}
    for part in parts_of(sample("pdf-samples") / f"{name}.pdf"):
        if isinstance(part, Section) and part.page is not None:
            pages[part.page] = pages.get(part.page, "") + part.text
    return pages


def test_each_of_the_files_is_in_one_of_the_tables() -> None:
    names = {path.stem for path in sample("pdf-samples").glob("*.pdf")}
    assert names == TEXTS.keys() | REASONS.keys()
    assert len(names) == 20


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_gives_its_text_page_by_page(name: str) -> None:
    num_pages, text = TEXTS[name]
    pages = pages_of(name)
    assert len(pages) == num_pages
    assert text in "".join(pages.values())


@pytest.mark.parametrize("name", REASONS)
def test_a_file_without_text_gives_one_clear_reason(name: str) -> None:
    path = sample("pdf-samples") / f"{name}.pdf"
    with pytest.raises(BadDocument) as refusal:
        list(read_pdf(path))
    assert str(refusal.value) == REASONS[name].format(path.name)


def test_pages_of_pictures_among_others_are_told() -> None:
    parts = parts_of(sample("pdf-samples/007-imagemagick-images__imagemagick-images.pdf"))
    told = [(part.place, part.reason) for part in parts if isinstance(part, Unread)]
    assert told == [("page 4", "only pictures, no text"), ("page 5", "only pictures, no text")]


# What stands on a page, typed from its picture: one page of each layout.
LATEX_WITH_HEADS = """Vorwort

Dieses Skript wurde im Wintersemester 2013/2014 von Martin Thoma geschrieben. Es beinhaltet die Mitschriften aus der Vorlesung von Prof. Dr. Herrlich sowie die Mitschriften einiger Übungen und Tutorien.

Das Skript ist kostenlos über martin-thoma.com/geotopo verfügbar. Wer es gerne in A5 (Schwarz-Weiß, Ringbindung) für 10 Euro hätte, kann mir eine E-Mail schicken (info@martin-thoma.de).

Danksagungen

An dieser Stelle möchte ich Herrn Prof. Dr. Herrlich für einige Korrekturvorschläge und einen gut strukturierten Tafelanschrieb danken, der als Vorlage für dieses Skript diente. Tatsächlich basiert die Struktur dieses Skripts auf der Vorlesung von Herrn Prof. Dr. Herrlich und ganze Abschnitte konnten direkt mit LATEX umgesetzt werden. Vielen Dank für die Erlaubnis, Ihre Inhalte in diesem Skript einbauen zu dürfen!

Vielen Dank auch an Frau Lenz und Frau Randecker, die es mir erlaubt haben, ihre Übungsaufgaben und Lösungen zu benutzen.

Jérôme Urhausen hat durch viele Verbesserungsvorschläge und Beweise zu einer erheblichen Qualitätssteigerung am Skript beigetragen und meine Tutorin Sarah hat mir viele Fragen per E-Mail und nach dem Tutorium beantwortet. Danke!

Was ist Topologie?

Die Kugeloberfläche S2 lässt sich durch strecken, stauchen und umformen zur Würfeloberfläche oder der Oberfläche einer Pyramide verformen, aber nicht zum R2 oder zu einem Torus T2. Für den R2 müsste man die Oberfläche unendlich ausdehnen und für einen Torus müsste man ein Loch machen.

Erforderliche Vorkenntnisse

Es wird ein sicherer Umgang mit den Quantoren (∀, ∃), Mengenschreibweisen (∪, ∩, \\, ∅, R,P(M)) und ganz allgemein formaler Schreibweise vorausgesetzt. Auch die Beweisführung mittels Widerspruchsbeweisen sollte bekannt sein und der Umgang mit komplexen Zahlen C, deren Betrag, Folgen und Häufungspunkten nicht weiter schwer fallen. Diese Vorkenntnisse werden vor allem in „Analysis I“ vermittelt.

Außerdem wird vorausgesetzt, dass (affine) Vektorräume, Faktorräume, lineare Unabhängigkeit, der Spektralsatz und der projektive Raum P(R) aus „Lineare Algebra I“ bekannt sind. In „Lineare Algebra II“ wird der Begriff der Orthonormalbasis eingeführt.

"""
LANDSCAPE_WITH_LISTS = """EXHIBITS, FINANCIAL STATEMENT SCHEDULES including Financial Statement Schedules, Exhibits, Signatures, Power of Attorney

Octank Financial's 10K report includes several financial statement schedules and exhibits that provide important information to investors and other stakeholders. These schedules and exhibits are essential components of the report, offering detailed data and insights that supplement the financial statements.

**Financial Statement Schedules**

Financial statement schedules offer additional information about specific line items in the financial statements. At Octank, we provide the following financial statement schedules:

1. **Schedule of Assets:** This schedule provides a detailed breakdown of our assets, including a list of our major customers, the carrying amounts and fair values of our financial assets, and the gross and net amounts of our impaired assets.

2. **Schedule of Liabilities:** This schedule offers a comprehensive view of our liabilities, including a list of our major suppliers, the carrying amounts and fair values of our financial liabilities, and the gross and net amounts of our contingent liabilities.

3. **Schedule of Stockholders' Equity:** This schedule details the changes in our stockholders' equity during the reporting period, including the number of shares issued, repurchased, and outstanding, as well as the changes in our accumulated other comprehensive income.

4. **Schedule of Cash Flows:** This schedule provides a detailed analysis of our cash flows, including the cash flows from operating, investing, and financing activities, as well as the changes in our cash and cash equivalents.

**Exhibits**

Exhibits are supplementary documents that provide additional information about various aspects of our business. At Octank, we include the following exhibits in our 10K report:

1. **Articles of Incorporation and Bylaws:** These documents outline the legal structure and governance of our company, including our purpose, powers, and the rights and duties of our officers and directors.

2. **List of Subsidiaries:** This exhibit provides a comprehensive list of our subsidiaries, including their names, locations, and the percentage of ownership that Octank holds.

"""
WITH_A_TABLE = """Namespaces are one honking great idea -- let's do more of those!

Indonesia | Germany | Austria | France | Vatican
Continent | Asia | Europe
Capital | Jakarta | Berlin | Vienna | Paris | Vatican City
Currency | Rupia | EUR (€) | -
Population | 273.879.7501 | 83,190,5562 | 8,935,1123 | 67,413,000 | 453

1 2021 estimate
2 2020 estimate
3 2020 estimate
"""
WITH_HANGING_LINES = """The Crazy Ones

October 14, 1998

Heres to the crazy ones. The misfits. The rebels. The troublemakers. The round pegs in the square holes.

The ones who see things differently. Theyre not fond of rules. And they have no respect for the status quo. You can quote them, disagree with them, glorify or vilify them.

About the only thing you cant do is ignore them. Because they change things. They invent. They imagine. They heal. They explore. They create. They inspire. They push the human race forward.

Maybe they have to be crazy.

How else can you stare at an empty canvas and see a work of art? Or sit in silence and hear a song thats never been written? Or gaze at a red planet and see a laboratory on wheels?

We make tools for these kinds of people.

While some see them as the crazy ones, we see genius. Because the people who are crazy enough to think they can change the world, are the ones who do.
"""


@pytest.mark.parametrize(
    ("name", "page", "text"),
    [
        ("001-trivial__minimal-document", 1, f"{LOREM} {LOREM}\n"),
        ("009-pdflatex-geotopo__GeoTopo-komprimiert", 2, LATEX_WITH_HEADS),
        ("octank_financial_10K", 1, LANDSCAPE_WITH_LISTS),
        ("021-pdfa__crazyones-pdfa", 1, WITH_HANGING_LINES),
        ("010-pdflatex-forms__pdflatex-forms", 1, "Name Check Submit\n"),
        ("015-arabic__habibi", 1, "حَبيبي habibi حَبيبي\n"),
        ("015-arabic__habibi-rotated", 3, "حَبيبي habibi حَبيبي\n\n"),
        ("024-annotations__annotated_pdf", 1, "Some text.\n\nLine 1 Line 2\n\nNot highlighted\n"),
    ],
)
def test_a_page_has_the_text_that_its_picture_shows(name: str, page: int, text: str) -> None:
    assert pages_of(name)[page] == text


def test_rows_of_a_table_stay_rows() -> None:
    assert pages_of("011-google-doc-document__google-doc-document")[1].endswith(WITH_A_TABLE)


def test_no_running_head_and_no_page_number_of_a_book_stays() -> None:
    pages = pages_of("009-pdflatex-geotopo__GeoTopo-komprimiert")
    assert [page for page, text in pages.items() if "TOPOLOGISCHE RÄUME" in text] == []
    assert not any(text.strip().endswith(f"\n{page - 3}") for page, text in pages.items())


def test_entries_of_the_outline_become_headings() -> None:
    parts = parts_of(sample("pdf-samples/006-pdflatex-outline__pdflatex-outline.pdf"))
    headings = {part.headings: part.page for part in parts if isinstance(part, Section)}
    assert list(headings) == [(), ("Foo",), ("Bar",), ("Baz",)]
    book = parts_of(sample("pdf-samples/009-pdflatex-geotopo__GeoTopo-komprimiert.pdf"))
    found = {(part.headings, part.page) for part in book if isinstance(part, Section)}
    assert (("1 Topologische Grundbegriffe", "1.1 Topologische Räume"), 9) in found


@pytest.mark.parametrize("name", TEXTS)
def test_places_in_the_text_are_those_of_the_sections(name: str) -> None:
    sections = [part for part in parts_of(sample("pdf-samples") / f"{name}.pdf") if isinstance(part, Section)]
    whole = "".join(section.text for section in sections)
    assert all(whole[section.start :].startswith(section.text) for section in sections)
