"""Every record and token is accounted for before training."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from outcrop.datasets.encoding import encode
from outcrop.datasets.preflight import examine
from outcrop.datasets.records import Customization, TextRecord
from outcrop.datasets.report.value import LeftOut, Longest, Overlap, Report, SplitRecord
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.tiny import CHAT_TEMPLATE, CONTEXT_LENGTH, tiny_model


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return Tokenizer.open(tiny_model(tmp_path_factory.mktemp("base")))


def report(
    folder: Path, tokenizer: Tokenizer, *files: Sequence[object], customization: Customization = "FINE_TUNING"
) -> Report:
    paths = []
    for name, records in zip(("train.jsonl", "validation.jsonl"), files, strict=False):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        paths.append(folder / name)
    return examine(paths, tokenizer=tokenizer, context_length=CONTEXT_LENGTH, customization=customization)


def pair(prompt: str, completion: str) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def test_tokens_and_bytes_are_those_that_will_be_learned(tmp_path: Path, tokenizer: Tokenizer) -> None:
    (file,) = report(tmp_path, tokenizer, [pair("the stone", " at the river"), pair("x", "古池や")]).files
    prompts = sum(len(tokenizer.encode(prompt, begin=True)) for prompt in ("the stone", "x"))
    learned = sum(len(tokenizer.encode(text, begin=False)) + 1 for text in (" at the river", "古池や"))
    assert (file.num_records, file.num_refused, file.num_truncated) == (2, 0, 0)
    assert (file.num_supervised, file.num_tokens) == (learned, learned + prompts)
    assert file.num_supervised_bytes == len(b" at the river") + len("古池や".encode())


def test_a_record_longer_than_the_context_is_refused_in_bedrock_s_words(tmp_path: Path, tokenizer: Tokenizer) -> None:
    found = report(tmp_path, tokenizer, [pair("a", "b"), pair("z" * 300, "b")])
    assert [str(problem) for problem in found.problems] == [
        "train.jsonl:2: Max sum of input and output token length 303 exceeds total limit of 256. "
        "Shorten the record, or choose a base model with a longer context."
    ]
    assert (found.files[0].num_records, found.files[0].num_refused) == (1, 1)


def test_repeated_records_and_those_of_the_training_file_are_named_by_line(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    train = [pair("a", "b"), pair("c", "d"), pair("a", "b"), pair("a", "b"), pair("e", "f")]
    found = report(tmp_path, tokenizer, train, [pair("x", "y"), pair("e", "f"), pair("a", "b")])
    assert found.files[0].duplicates == ((1, 3, 4),)
    assert found.files[1].overlap == (Overlap(2, 5, "train.jsonl"), Overlap(3, 1, "train.jsonl"))
    assert found.problems == ()


def test_a_text_longer_than_the_context_is_split_and_every_token_is_predicted_once(
    tmp_path: Path, tokenizer: Tokenizer
) -> None:
    text = "z" * 700
    (file,) = report(tmp_path, tokenizer, [{"input": text}], customization="CONTINUED_PRE_TRAINING").files
    assert (file.split, file.longest) == ((SplitRecord(1, 3),), Longest(1, 702))
    assert (file.num_tokens, file.num_supervised, file.num_supervised_bytes) == (702, 701, 700)

    pieces = encode(TextRecord(text=text, line=1), tokenizer, context_length=CONTEXT_LENGTH, name="t")
    assert isinstance(pieces, list)
    learned = [i for piece in pieces for i, counts in zip(piece.ids, piece.supervised, strict=True) if counts]
    assert learned == [*tokenizer.encode(text, begin=True), tokenizer.eos_id][1:]
    assert max(len(piece.ids) for piece in pieces) <= CONTEXT_LENGTH


def test_files_of_two_forms_are_refused(tmp_path: Path, tokenizer: Tokenizer) -> None:
    chat = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    found = report(tmp_path, tokenizer, [pair("a", "b")], [chat])
    assert [str(problem) for problem in found.problems] == [
        "validation.jsonl: its records have another form than those of train.jsonl. Give both files one form."
    ]


def test_the_report_reads_well(tmp_path: Path, tokenizer: Tokenizer) -> None:
    train = [pair("a", "b"), pair("c", "d"), pair("a", "b"), {"prompt": "e"}]
    text = report(tmp_path, tokenizer, train, [pair("a", "b")]).to_text()
    assert text == (
        "train.jsonl\n"
        "  records           3\n"
        "  refused           1   told below\n"
        "  tokens           12   6 of them are learned, 3 bytes of text\n"
        "  longest           4   line 1; half of the records have 4 or fewer, the model takes 256\n"
        "  cut off           0\n"
        "  repeated          1   lines 1 = 3\n"
        "  languages         1   short texts 100%, of 3 records looked at\n"
        "  tokenizer      1.00   bytes a token: poor for short texts (1.00)\n"
        "\n"
        "validation.jsonl\n"
        "  records           1\n"
        "  tokens            4   2 of them are scored, 1 byte of text\n"
        "  longest           4   line 1; the model takes 256\n"
        "  cut off           0\n"
        "  overlap           1   also in train.jsonl, so they test memory: lines 1 = 1\n"
        "  languages         1   short texts 100%, of 1 record looked at\n"
        "  tokenizer      1.00   bytes a token: poor for short texts (1.00)\n"
        "\n"
        "Not ready. Mend these first:\n"
        "train.jsonl:4: completion: missing. Give the record a completion, or remove the line.\n"
    )


def test_the_report_is_json_too(tmp_path: Path, tokenizer: Tokenizer) -> None:
    told = json.loads(json.dumps(report(tmp_path, tokenizer, [pair("a", "b"), {}]).to_json()))
    assert told["ready"] is False
    assert told["files"][0]["longest"] == {"line": 1, "tokens": 4}
    assert told["files"][0]["problems"][0]["sentence"].startswith("train.jsonl:2: prompt: missing.")


def chat(*said: str, system: str | None = None) -> dict[str, object]:
    turns = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    return {"messages": turns} if system is None else {"system": system, "messages": turns}


def with_template(folder: Path, template: str) -> Tokenizer:
    made = tiny_model(folder / "base")
    (made / "chat_template.jinja").write_text(template)
    return Tokenizer.open(made)


SILENT = "{% for m in messages %}{% if m.role != 'system' %}{{ m.role + m.content + eos_token }}{% endif %}{% endfor %}"
LAST_ONLY = "{% for m in messages[-2:] %}{{ m.role + m.content + eos_token }}{% endfor %}"
FORGETS_THOUGHTS = (
    "{% for m in messages %}{{ m.role + (m.content if loop.last else m.content.split('</think>')[-1]) + eos_token }}"
    "{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "records", "left_out"),
    [
        (SILENT, [chat("a", "b"), chat("a", "c", system="be brief")], [LeftOut("system messages", (2,))]),
        (SILENT, [chat("a", "b")], []),
        (LAST_ONLY, [chat("a", "b"), chat("a", "b", "c", "d")], [LeftOut("earlier turns", (2,))]),
        (
            FORGETS_THOUGHTS,
            [chat("a", "<think>b</think>c", "d", "e"), chat("a", "<think>b</think>c"), chat("a", "b", "c", "d")],
            [LeftOut("thoughts of earlier answers", (1,))],
        ),
        (CHAT_TEMPLATE, [chat("a", "<think>b</think>c", "d", "e", system="be brief")], []),
    ],
)
def test_what_a_template_leaves_out_is_told_with_its_lines(
    template: str, records: list[object], left_out: list[LeftOut], tmp_path: Path
) -> None:
    found = report(tmp_path, with_template(tmp_path, template), records)
    assert found.problems == ()
    assert list(found.files[0].left_out) == left_out
    assert ("Ready to train: every record is used, whole." in found.to_text()) == (not left_out)
    for left in left_out:
        assert f"{left.what}: the chat template does not write them, here or in serving" in found.to_text()
    assert json.loads(json.dumps(found.to_json()))["files"][0]["left_out"] == [
        {"what": left.what, "lines": list(left.lines)} for left in left_out
    ]


def test_answers_that_are_learned_each_for_itself_are_counted_so(tmp_path: Path) -> None:
    tokenizer = with_template(tmp_path, FORGETS_THOUGHTS)
    records = [chat("a", "<think>b</think>c", "d", "e"), chat("a", "b")]
    (file,) = report(tmp_path, tokenizer, records).files
    assert file.by_answer == (SplitRecord(line=1, sequences=2),)
    assert file.split == ()
    encoded = [len(tokenizer.encode(text, begin=False)) for text in ("usera</s>assistant<think>b</think>c</s>",)]
    assert file.longest is not None
    assert file.num_tokens > file.longest.tokens >= encoded[0]


@pytest.mark.parametrize("record", [pair("x" * 5_000_000, "y"), pair("x", "y" * 5_000_000), chat("x" * 5_000_000, "y")])
def test_a_record_that_cannot_fit_is_refused_unread(
    record: object, tmp_path: Path, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_self: Tokenizer, text: str, *, begin: bool) -> list[int]:
        assert len(text) < 1_000, "it was read"
        return tokenizer.encode_rendered(text)

    monkeypatch.setattr(Tokenizer, "encode", read)
    (problem,) = report(tmp_path, tokenizer, [record]).problems
    assert problem.what.startswith("Max sum of input and output token length of at least ")


@pytest.mark.parametrize(("form", "prompt"), [("text", "q"), ("chat", "User: q\nBot:\n"), ("Q {prompt} A", "Q q A")])
def test_prompts_are_counted_in_their_form(form: str, prompt: str, tmp_path: Path, tokenizer: Tokenizer) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps(pair("q", "a")))
    found = examine(
        [tmp_path / "train.jsonl"],
        tokenizer=tokenizer,
        context_length=CONTEXT_LENGTH,
        customization="FINE_TUNING",
        prompt_format=PromptFormat(form),
    )
    ids = [*tokenizer.encode(prompt, begin=True), *tokenizer.encode("a", begin=False), tokenizer.eos_id]
    assert found.files[0].num_tokens == len(ids)
