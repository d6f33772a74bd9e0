"""CSV, TSV and workbooks read as documents."""

import zipfile
from pathlib import Path

import pytest

from outcrop.documents.reading import read_document
from outcrop.documents.section import BadDocument, Section
from tests.support.document_files import zipped

PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def sections(path: Path) -> list[Section]:
    found = list(read_document(path))
    assert all(isinstance(each, Section) for each in found)
    return [each for each in found if isinstance(each, Section)]


def text_of(path: Path) -> str:
    return "".join(section.text for section in sections(path))


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def workbook(path: Path, **sheets: str) -> Path:
    """An XLSX file of these sheets, each the XML of its rows."""
    names = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>' for n, name in enumerate(sheets, start=1))
    related = "".join(
        f'<Relationship Id="rId{n}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    kinds = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    return zipped(
        path,
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
            'PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.'
            f'spreadsheetml.sheet.main+xml"/>{kinds}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1" '
            f'Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
            "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{names}</sheets></workbook>',
            "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{related}</Relationships>',
            **{
                f"xl/worksheets/sheet{n}.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
                for n, rows in enumerate(sheets.values(), start=1)
            },
        },
    )


def rows(*values: tuple[str | float, ...]) -> str:
    """Rows of a sheet as XML."""
    return "".join(
        f'<row r="{r}">'
        + "".join(
            f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{value}</t></is></c>'
            if isinstance(value, str)
            else f'<c r="{chr(65 + c)}{r}"><v>{value}</v></c>'
            for c, value in enumerate(row)
        )
        + "</row>"
        for r, row in enumerate(values, start=1)
    )


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "Bond,Coupon\nA,3.5\nB,\n", "Bond: A | Coupon: 3.5\nBond: B\n"),
        ("b.csv", 'Name;Note\n"A; B";"two\nlines"\n', "Name: A; B | Note: two lines\n"),
        ("c.tsv", "x\ty\n1\t2\n", "x: 1 | y: 2\n"),
        ("d.csv", "\ufeff銘柄,価格\r\n国債,100\r\n", "銘柄: 国債 | 価格: 100\n"),
        ("e.csv", "\n,\nonly,names\n", "only | names\n"),
        ("f.csv", "Word\nalone\n", "Word: alone\n"),
        ("g.csv", "a,b\n1,2,3\n", "a: 1 | b: 2 | 3\n"),
    ],
)
def test_each_row_is_a_line_that_names_its_columns(tmp_path: Path, name: str, content: str, expected: str) -> None:
    assert text_of(written(tmp_path / name, content)) == expected


def test_a_large_table_comes_in_parts_whose_texts_are_the_whole(tmp_path: Path) -> None:
    lines = "".join(f"{number},{number * 2}\n" for number in range(20_000))
    found = sections(written(tmp_path / "a.csv", f"one,two\n{lines}"))
    assert len(found) > 3
    assert "".join(each.text for each in found).count("\n") == 20_000
    assert [each.start for each in found] == [
        sum(len(each.text) for each in found[:number]) for number in range(len(found))
    ]
    assert found[0].place == "row 1"


def test_a_workbook_has_a_heading_for_each_sheet(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "a.xlsx",
        Bonds=rows(("Bond", "Coupon"), ("A", 3.5), ("B", 4.0)),
        Empty="",
        Notes=rows(("Note",), ("hello",)),
    )
    assert [(each.headings, each.text) for each in sections(path)] == [
        (("Bonds",), "Bond: A | Coupon: 3.5\nBond: B | Coupon: 4\n"),
        (("Notes",), "Note: hello\n"),
    ]


def test_a_cell_far_away_breaks_the_reader_and_not_this_process(tmp_path: Path) -> None:
    far = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(BadDocument, match="breaks its reader, or takes more than 2,048 MiB"):
        sections(workbook(tmp_path / "a.xlsx", Far=far))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "\n\n,,\n", "a.csv: an empty file|a.csv: a table without rows"),
        ("b.csv", "a,b\n" + "x" * 2_000_000 + ",1\n", "b.csv: row 2: no row of a table: field larger than field limit"),
        ("c.csv", "価格".encode("cp932") * 100, "c.csv: line 1: not UTF-8, perhaps CP932"),
        ("d.xls", b"\xd0\xcf\x11\xe0 and nothing", "d.xls: a broken or encrypted workbook: "),
        ("e.pptx", "", "e.pptx: an empty file"),
    ],
)
def test_a_bad_table_is_told_in_one_sentence(tmp_path: Path, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(BadDocument, match=said):
        sections(written(tmp_path / name, content))


def test_slides_and_archives_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match="slides of an Office program, not a text"):
        sections(zipped(tmp_path / "a.pptx", {"ppt/presentation.xml": "<a/>"}))
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(BadDocument, match="a zip archive"):
        sections(tmp_path / "b.xlsx")
