"""A file that is no JSON Lines is named once, with what turns it into one, where Bedrock's forms alone are taken."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.feather
import pyarrow.parquet
import pytest

from outcrop.datasets.forms import form_of
from outcrop.datasets.preflight import examine
from outcrop.datasets.reading import check, read_file
from outcrop.datasets.records import Customization
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.tiny import CONTEXT_LENGTH, tiny_model

RECORDS = [{"prompt": f"question {n} é", "completion": f"answer {n}"} for n in range(30)]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS)
TABLE = pyarrow.table({"prompt": ["a"], "completion": ["b"]})
JAPANESE = "".join(
    json.dumps({"prompt": f"古池や{n}", "completion": "蛙飛びこむ"}, ensure_ascii=False) + "\n" for n in range(5)
)
LONG_ARRAY = "[\n" + ",\n".join([json.dumps(RECORDS, indent=1)[2:-2]] * 5000) + "\n]"
"All of it an array: its end lies beyond what is read to tell one form from another."
PRETTY = "\n".join(json.dumps(record, indent=2) for record in RECORDS)


def zipped(name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "x")
    return packed.getvalue()


def parquet() -> bytes:
    written = io.BytesIO()
    pyarrow.parquet.write_table(TABLE, written)
    return written.getvalue()


def arrow() -> bytes:
    written = io.BytesIO()
    pyarrow.feather.write_feather(TABLE, written)
    return written.getvalue()


def stream() -> bytes:
    written = io.BytesIO()
    with pyarrow.ipc.new_stream(written, TABLE.schema) as writer:
        writer.write_table(TABLE)
    return written.getvalue()


def form(folder: Path, content: bytes, name: str = "train.jsonl") -> str:
    """The sentence about a file."""
    path = folder / name
    path.write_bytes(content)
    (line,) = read_file(path, customization="FINE_TUNING", strict=True)
    (problem,) = line.problems
    assert line.number == 0
    return str(problem).removeprefix(f"{name}: ")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (gzip.compress(LINES.encode(), mtime=0), "compressed with gzip. Unpack it: gunzip < train.jsonl > NEW.jsonl"),
        (bz2.compress(LINES.encode()), "compressed with bzip2. Unpack it: bunzip2 < train.jsonl > NEW.jsonl"),
        (lzma.compress(LINES.encode()), "compressed with xz. Unpack it: unxz < train.jsonl > NEW.jsonl"),
        (zipped("train.jsonl"), "a zip archive. Unpack it: unzip train.jsonl"),
        (zipped("xl/workbook.xml"), "an Excel workbook. Write its rows: pandas.read_excel(FILE)"),
        (zipped("word/document.xml"), "a Word document. Make records of it: outcrop data text"),
        (parquet(), "a Parquet table. Write its rows: pandas.read_parquet(FILE).to_json(NEW, "),
        (arrow(), "an Arrow table. Write its rows: pandas.read_feather(FILE)"),
        (stream(), "an Arrow stream. Write its rows: datasets.Dataset.from_file(FILE)"),
        (b"%PDF-1.7\n", "a PDF. Make records of it: outcrop data pdf"),
        (b"\x80\x04\x95", "a pickle of Python's. Write each record"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS, not the file itself. Fetch the file"),
        (b"", "an empty file. Write one JSON object on each line."),
        (b"\n \r\n\t\n", "nothing but blank lines. Write one JSON object on each line."),
    ],
)  # fmt: skip
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    assert form(tmp_path, content).startswith(sentence)


@pytest.mark.parametrize(
    ("text", "encoding", "named"),
    [
        (LINES, "utf-16", "UTF-16"),
        (LINES, "utf-16-le", "UTF-16LE"),
        (JAPANESE, "utf-16-be", "UTF-16BE"),
        (LINES, "utf-32", "UTF-32"),
        (LINES, "utf-32-le", "UTF-32LE"),
        (JAPANESE, "utf-32-be", "UTF-32BE"),
        (JAPANESE, "shift_jis", "Shift_JIS"),
        (JAPANESE, "euc_jp", "EUC-JP"),
        (LINES, "latin-1", "Latin-1"),
        (LINES.replace("é", "“é”"), "cp1252", "Windows-1252"),
    ],
)
def test_other_encodings_are_named(tmp_path: Path, text: str, encoding: str, named: str) -> None:
    said = form(tmp_path, text.encode(encoding))
    assert said.startswith(f"{named} text, not UTF-8. Turn it into UTF-8: iconv -f ")
    name = said.split("iconv -f ")[1].split()[0]
    assert text.encode(encoding).decode(name) == text  # what is advised gives the text back


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        (LINES.replace("\n", "\r"), "train.jsonl", "lines that end in CR alone. Turn them into LF: tr "),
        (PRETTY, "train.jsonl", "JSON objects spread over several lines. "),
        (PRETTY.replace("\n", "\r"), "train.jsonl", "JSON objects spread over several lines. "),
        (PRETTY * 2000, "train.jsonl", "JSON objects spread over several lines. "),
        (json.dumps(RECORDS), "my train.json", "a JSON array, not JSON Lines. Write each object on a line of its own, without [ ] and commas: jq -c '.[]' 'my train.json' > NEW.jsonl"),
        (LONG_ARRAY, "train.jsonl", "a JSON array, not JSON Lines. "),
        ("".join(map(json.dumps, RECORDS)), "train.jsonl", "JSON objects one after the other on one line. "),
        (json.dumps({"version": 1, "data": RECORDS}), "t.json", 'one JSON object that holds its records under "data". Write each record as one JSON object on one line: jq -c \'.["data"][]\' t.json > NEW.jsonl'),
        (json.dumps({"train": RECORDS}, indent=2), "t.json", 'one JSON object that holds its records under "train". '),
        ("".join(f"{record}\n" for record in RECORDS), "train.jsonl", "dictionaries as Python prints them, not JSON. Write each with json.dumps("),
        ('["a", "b"]\n["c", "d"]\n', "train.jsonl", "JSON lists, one on each line. "),
        ('prompt,completion\na,"b, c"\n', "train.csv", "a table with comma-separated columns (CSV). "),
        ("question;answer\na;b\n", "train.jsonl", "a table with semicolon-separated columns (CSV). "),
        ("a\tb\nc\td\n", "train.tsv", "a table with tab-separated columns (CSV). "),
        ("<html><body>", "train.jsonl", "markup, not JSON Lines. "),
        ("Once upon a time, there was a stone.\nIt is still there.\n", "t.txt", "plain text, not JSON Lines. "),
    ],
)  # fmt: skip
def test_text_of_another_form_is_named(tmp_path: Path, text: str, name: str, sentence: str) -> None:
    assert form(tmp_path, text.encode(), name).startswith(sentence)


@pytest.mark.parametrize(
    "text",
    [
        LINES,
        "\ufeff" + LINES,
        LINES.replace("\n", "\r\n"),
        '{"prompt": "a\u2028b\u0085c", "completion": "d"}\n',  # ends of lines for Unicode, not for JSON Lines
        '{"prompt": "' + "x" * 400_000 + ',", "completion": "b"}\n',
        '{"prompt": "a", "completion": "b"\n{"prompt": "a", "completion": "b"}\n',
        '"a"\n"b"\n',
        "12\n13\n",
        '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}',
        '{"prompt": "only one record", "completion": "b"}',
    ],
)
def test_json_lines_good_or_bad_are_read_line_by_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(text.encode())
    assert form_of(path).held is None


def test_one_bad_byte_among_good_lines_is_that_lines_own(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(LINES.encode() + b'{"prompt": "\xff", "completion": "b"}\n{"prompt": "\xfe", "completion": "b"}\n')
    told = [line for line in read_file(path, customization="FINE_TUNING") if line.record is None]
    assert [line.number for line in told] == [31, 32]


USER, ASSISTANT = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        ({"instruction": "a", "input": "", "output": "b"}, "Alpaca's form (instruction, input, output), which is not Bedrock's. Write {\"prompt\": instruction"),
        ({"instruction": "a", "output": "b", "text": "c"}, "Alpaca's form (instruction, input, output), "),
        ({"conversations": [{"from": "human", "value": "x"}, {"from": "gpt", "value": "y"}]}, "ShareGPT's form (conversations of from and value), which is not Bedrock's. Write {\"messages\": "),
        ({"id": "1", "items": [{"from": "human", "value": "x"}]}, "ShareGPT's form (items of from and value), "),
        ({"conversations": [USER, ASSISTANT]}, "conversations: a conversation under another name. Write messages for conversations."),
        ({"contents": [{"role": "user", "parts": [{"text": "x"}]}]}, "Gemini's form (contents of role and parts), "),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "a pair for learning preferences (chosen, rejected), from which no method here learns yet. Write what was chosen: "),
        ({"question": "a", "answer": "b", "id": 3}, "question and answer, where prompt and completion are expected. Write {\"prompt\": question, \"completion\": answer}."),
        ({"prompt": "a", "response": "b"}, "prompt and response, where prompt and completion are expected. "),
        ({"text": "a"}, "a text without prompt and completion. Part it into "),
    ],
)  # fmt: skip
def test_records_of_other_programs_are_named_once_with_the_mapping(record: dict[str, object], sentence: str) -> None:
    lines = [json.dumps(record).encode()] * 50
    (problem,) = check(lines, name="t", customization="FINE_TUNING", strict=True)
    assert str(problem).startswith(f"t:1: {sentence}")


def test_a_text_under_another_name_is_told_for_continued_pre_training() -> None:
    (problem,) = check([b'{"text": "a"}'] * 3, name="t", customization="CONTINUED_PRE_TRAINING")
    assert str(problem) == 't:1: text, where input is expected. Write {"input": text}.'


@pytest.mark.parametrize(
    ("record", "sentences"),
    [
        ({"promt": "a", "completion": "b"}, ["promt: unknown key. Did you mean prompt?"]),
        ({"Prompt": "a", "completions": "b"}, ["Prompt: unknown key. Did you mean prompt?", "completions: unknown key. Did you mean completion?"]),
        ({"mesages": [USER, ASSISTANT]}, ["mesages: unknown key. Did you mean messages?"]),
        ({"messages": [{"rol": "user", "contnet": "q"}, ASSISTANT]}, ["messages[0].rol: unknown key. Did you mean role?", "messages[0].contnet: unknown key. Did you mean content?"]),
        ({"sytem": "s", "messages": [USER, ASSISTANT]}, ["sytem: unknown key. Did you mean system?"]),
        ({"messages": [{"role": "User", "content": "q"}, ASSISTANT]}, ["messages[0].role: expected user or assistant, found 'User'. Write user."]),
        ({"messages": [{"role": "user", "content": [{"txt": "q"}]}, ASSISTANT]}, ["messages[0].content[0].txt: unknown key. Did you mean text?"]),
        ({"messages": [USER, ASSISTANT], "tools": []}, ["tools: empty. Leave it out, or write [{\"type\": \"function\", \"function\": {\"name\": \"…\", \"parameters\": {…}}}, …]."]),
        ({"messages": [USER, {**ASSISTANT, "weight": 0}]}, ["messages[1].weight: unknown key. Weights of turns are not read, every answer is learned: remove it."]),
        ({"messages": [{"role": "developer", "content": "s"}, USER, ASSISTANT]}, ["messages[0].role: expected user or assistant, found 'developer'. Write its text as the record's system."]),
        ({"prompt": " ", "completion": "\n"}, ["prompt: blank. Give the record a prompt, or remove the line.", "completion: blank. Give the record a completion, or remove the line."]),
        ({"system": "", "messages": [USER, ASSISTANT]}, ["system: empty. Leave it out, or give it a text."]),
        ({"system": "\u3000", "messages": [USER, ASSISTANT]}, ["system: blank. Leave it out, or give it a text."]),
        ({"messages": [USER, {"role": "assistant", "content": " "}]}, ["messages[1].content: blank. Give the record a text, or remove the line."]),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, ["messages[1].content: null. Give the turn its text."]),
        ({"prompt": "a", "completion": "b", "id": 1}, ['id: unknown key. Remove it; the form is {"prompt": "<input text>", "completion": "<output text>"}.']),
    ],
)  # fmt: skip
def test_slips_of_the_pen_are_told_with_what_was_meant(record: dict[str, object], sentences: list[str]) -> None:
    found = check([json.dumps(record).encode()], name="t", customization="FINE_TUNING")
    assert [str(problem) for problem in found] == [f"t:1: {sentence}" for sentence in sentences]


def test_what_is_python_s_and_not_json_s_is_told() -> None:
    (problem,) = check([b'{"prompt": "a", "completion": None}'], name="t", customization="FINE_TUNING")
    assert str(problem) == "t:1: column 31: not JSON, None is Python's. Write null for None; json.dumps does."


def test_very_many_problems_are_shown_by_kind_and_all_are_counted(tmp_path: Path) -> None:
    lines = [{"prompt": "a"}] * 3000 + [{"prompt": "a", "completion": 3}] * 2000 + [{"prompt": "", "completion": "b"}]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    tokenizer = Tokenizer.open(tiny_model(tmp_path / "base"))
    customization: Customization = "FINE_TUNING"
    report = examine([path], tokenizer=tokenizer, context_length=CONTEXT_LENGTH, customization=customization)
    assert report.num_problems == report.files[0].num_refused == 5001
    assert report.to_text().splitlines()[-10:] == [
        "Not ready. Mend these first:",
        "train.jsonl:1: completion: missing. Give the record a completion, or remove the line.",
        "train.jsonl:2: completion: missing. Give the record a completion, or remove the line.",
        "train.jsonl:3: completion: missing. Give the record a completion, or remove the line.",
        "  … and 2,997 more like this.",
        "train.jsonl:3001: completion: expected a string, found a number. Give the record a completion, or remove the line.",
        "train.jsonl:3002: completion: expected a string, found a number. Give the record a completion, or remove the line.",
        "train.jsonl:3003: completion: expected a string, found a number. Give the record a completion, or remove the line.",
        "  … and 1,997 more like this.",
        "train.jsonl:5001: prompt: empty. Give the record a prompt, or remove the line.",
    ]
    kinds = report.to_json()["files"][0]["kinds"]
    assert [kind["count"] for kind in kinds] == [3000, 2000, 1]


def test_of_a_file_of_another_form_only_its_form_is_told(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl.bz2"
    path.write_bytes(bz2.compress(LINES.encode()))
    tokenizer = Tokenizer.open(tiny_model(tmp_path / "base"))
    report = examine([path], tokenizer=tokenizer, context_length=CONTEXT_LENGTH, customization="FINE_TUNING")
    assert report.to_text() == (
        "Not ready. Mend these first:\ntrain.jsonl.bz2: compressed with bzip2. Unpack it: bunzip2 < train.jsonl.bz2 > NEW.jsonl\n"
    )
