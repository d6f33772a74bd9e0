"""The text the starter base model learns from: one folder of freely licensed sources -> train.jsonl, heldout.jsonl.

Each line is a document: source, language (en, ja, abc), form (plain, chat), text. Chat documents are written with the
role tokens of the tokenizer, without the `<|begin|>` and `<|end|>` that `pretrain.py` puts round every document.
About three per cent of every source's documents, chosen by hash, go to heldout.jsonl in both their forms.

    python -m starter.corpus --data <folder> --work build/starter
"""

import argparse
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from starter.abc import UnwritableKeyError, read_mxl, to_abc

HELD_OUT_SHARE = 0.03
CHUNK_CHARACTERS = 3000
LAW_BYTES = 600_000
KEYS = (0, 1, -1, 2, -2)  # every tune in its own key and in four near ones, as steps on the circle of fifths

# Present in the data folder, and not read here on purpose:
# - dialogsum (non-commercial) and nottingham-abc (GPL-3.0): their licences do not fit a model shipped freely.
# - waka-hachidaishu, hyakunin-isshu, mts-dialog, jsquad: customizations of this base model are evaluated on them.
# - the parts named dev, eval and valid of tanaka-enja, gsm8k and jcommonsenseqa: likewise.


@dataclass(frozen=True, kw_only=True)
class Document:
    source: str
    language: Literal["en", "ja", "abc"]
    form: Literal["plain", "chat"]
    text: str


Entry = list[Document]
"""The forms of one piece of text; they are held out together or not at all."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("OUTCROP_TEST_DATA", "../shared/data")))
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    arguments = parser.parse_args()
    train, held_out = build(arguments.data)
    arguments.work.mkdir(parents=True, exist_ok=True)
    write(train, arguments.work / "train.jsonl")
    write(held_out, arguments.work / "heldout.jsonl")
    for line in summary(train, held_out):
        print(line)


def build(data: Path) -> tuple[list[Document], list[Document]]:
    """Training and held-out documents of all sources, in a fixed order."""
    train: list[Document] = []
    held_out: list[Document] = []
    for name, read in SOURCES.items():
        entries = [entry for entry in read(data / name) if entry]
        kept_back = choose_held_out(entries)
        for index, entry in enumerate(entries):
            (held_out if index in kept_back else train).extend(entry)
    return train, held_out


def choose_held_out(entries: list[Entry]) -> set[int]:
    """Indices of the entries with the lowest hashes: at least one, so that every source is measured."""
    by_hash = sorted(range(len(entries)), key=lambda i: hashlib.sha256(entries[i][0].text.encode()).digest())
    return set(by_hash[: max(1, round(len(entries) * HELD_OUT_SHARE))])


def write(documents: list[Document], path: Path) -> None:
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            file.write(json.dumps(asdict(document), ensure_ascii=False) + "\n")


def read(path: Path) -> list[Document]:
    """The documents `write` wrote."""
    with path.open(encoding="utf-8") as file:
        return [Document(**json.loads(line)) for line in file]


def summary(train: list[Document], held_out: list[Document]) -> Iterator[str]:
    """One Markdown table line per source: the model card's data table is made of these."""
    sizes: Counter[tuple[str, str]] = Counter()
    for split, documents in (("train", train), ("heldout", held_out)):
        for document in documents:
            key = f"{document.source} ({document.language}, {document.form})"
            sizes[key, split] += len(document.text.encode())
    for key in sorted({key for key, _ in sizes}):
        yield f"| {key} | {sizes[key, 'train']:,} | {sizes[key, 'heldout']:,} |"


def chat(user: str, assistant: str) -> str:
    """One exchange in the model's chat format, without the document's own `<|begin|>` and `<|end|>`."""
    return f"<|user|>{user}<|end|><|assistant|>{assistant}"


def chunks(text: str, separator: str) -> Iterator[str]:
    """Pieces of about CHUNK_CHARACTERS, cut at `separator` only."""
    piece: list[str] = []
    for part in text.split(separator):
        piece.append(part)
        if sum(map(len, piece)) >= CHUNK_CHARACTERS:
            yield separator.join(piece).strip("\n")
            piece = []
    if any(piece):
        yield separator.join(piece).strip("\n")


def records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def ja_wikipedia(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "train_dev.jsonl"):
        yield [Document(source=folder.name, language="ja", form="plain", text=record["text"])]


def wagahai(folder: Path) -> Iterator[Entry]:
    text = (folder / "wagahai.ch01-09.plain.txt").read_text(encoding="utf-8")
    for piece in chunks(text, "\n"):
        yield [Document(source=folder.name, language="ja", form="plain", text=piece)]


def tanaka(folder: Path) -> Iterator[Entry]:
    """Both sides as plain text, ten sentences a document, and every pair as a translation in one direction or other."""
    rows = list(records(folder / "train.first6000.jsonl"))
    for start in range(0, len(rows), 10):
        pairs = [(natural_english(row["en"]), row["ja"]) for row in rows[start : start + 10]]
        yield [
            Document(source=folder.name, language="ja", form="plain", text="\n".join(ja for _, ja in pairs)),
            Document(source=folder.name, language="en", form="plain", text="\n".join(en for en, _ in pairs)),
            *(translation(folder.name, en, ja, into_ja=index % 2 == 0) for index, (en, ja) in enumerate(pairs)),
        ]


def translation(source: str, en: str, ja: str, *, into_ja: bool) -> Document:
    text = chat(f"Translate into Japanese: {en}", ja) if into_ja else chat(f"英語に訳してください：{ja}", en)
    return Document(source=source, language="ja", form="chat", text=text)


def natural_english(tokenised: str) -> str:
    """Lower-cased, tokenised English written as one would: `i can 't .` -> `I can't.`"""
    text = re.sub(r" (n?'(?:t|s|m|d|re|ve|ll)\b|[.,?!;:%)])", r"\1", tokenised)
    text = re.sub(r"\bi\b", "I", text.replace("( ", "("))
    return text[:1].upper() + text[1:]


def jcommonsenseqa(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "train8939.jsonl"):
        choices = [record[f"choice{index}"] for index in range(5)]
        answer = choices[record["label"]]
        numbered = "\n".join(f"{index}. {choice}" for index, choice in enumerate(choices))
        plain, asked = f"{record['question']}\n{answer}", chat(f"{record['question']}\n{numbered}", answer)
        yield [
            Document(source=folder.name, language="ja", form="plain", text=plain),
            Document(source=folder.name, language="ja", form="chat", text=asked),
        ]


def ja_vicuna(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "question.jsonl"):
        question, answer = record["turns"][0], record["answer_llm_jp_13b"]
        yield [
            Document(source=folder.name, language="ja", form="plain", text=answer),
            Document(source=folder.name, language="ja", form="chat", text=chat(question, answer)),
        ]


def en_wikipedia(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "articles.jsonl"):
        yield [Document(source=folder.name, language="en", form="plain", text=record["input"])]


def botchan(folder: Path) -> Iterator[Entry]:
    text = (folder / "botchan.first85pct.txt").read_text(encoding="utf-8")
    for piece in chunks(text, "\n"):
        yield [Document(source=folder.name, language="en", form="plain", text=piece)]


def shakespeare(folder: Path) -> Iterator[Entry]:
    text = (folder / "input.first90pct.txt").read_text(encoding="utf-8")
    for piece in chunks(text, "\n\n"):
        yield [Document(source=folder.name, language="en", form="plain", text=piece)]


def securities_law(folder: Path) -> Iterator[Entry]:
    """Every k-th chunk, so that statutes stay a small part of the English."""
    pieces = [
        piece
        for record in records(folder / "sections.jsonl")
        for piece in chunks(f"{record['section']}\n\n{record['text']}", "\n\n")
    ]
    size = sum(len(piece.encode()) for piece in pieces)
    for piece in pieces[:: max(1, round(size / LAW_BYTES))]:
        yield [Document(source=folder.name, language="en", form="plain", text=piece)]


def dolly(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "dolly-summarization.first900.jsonl"):
        asked = chat(f"{record['instruction']} {record['context']}", record["response"])
        yield [
            Document(source=folder.name, language="en", form="plain", text=record["context"]),
            Document(source=folder.name, language="en", form="chat", text=asked),
        ]


def gsm8k(folder: Path) -> Iterator[Entry]:
    for record in records(folder / "train.first2000.jsonl"):
        spoken = re.sub(r"<<.*?>>", "", record["answer"].split("\n####")[0])
        yield [
            Document(source=folder.name, language="en", form="plain", text=f"{record['question']}\n{spoken}"),
            Document(source=folder.name, language="en", form="chat", text=chat(record["question"], record["answer"])),
        ]


def lead_sheets(folder: Path) -> Iterator[Entry]:
    for number, record in enumerate(records(folder / "index.jsonl"), 1):
        path, title = folder / record["file"], record["title"]
        yield [*tunes(path, number, title, with_chords=True), *tunes(path, number, title, with_chords=False)]


def lieder(folder: Path) -> Iterator[Entry]:
    for number, record in enumerate(records(folder / "index.jsonl"), 1):
        title = record["source"].split("/")[-2].replace("_", " ")
        yield list(tunes(folder / record["file"], number, title, with_chords=False))


def tunes(path: Path, number: int, title: str, *, with_chords: bool) -> Iterator[Document]:
    """One tune in each of KEYS that the circle of fifths has room for."""
    score = read_mxl(path)
    for fifths_up in KEYS:
        try:
            text = to_abc(score, number=number, title=title, with_chords=with_chords, fifths_up=fifths_up)
        except UnwritableKeyError:
            continue
        yield Document(source=path.parent.name, language="abc", form="plain", text=text)


SOURCES: dict[str, Callable[[Path], Iterator[Entry]]] = {
    "ja-wikipedia-kwac": ja_wikipedia,
    "aozora-wagahai": wagahai,
    "tanaka-enja": tanaka,
    "jcommonsenseqa": jcommonsenseqa,
    "ja-vicuna-qa": ja_vicuna,
    "wikipedia-en-demo": en_wikipedia,
    "botchan-en": botchan,
    "tinyshakespeare": shakespeare,
    "us-securities-law": securities_law,
    "dolly-en": dolly,
    "gsm8k": gsm8k,
    "openewld-leadsheets": lead_sheets,
    "openscore-lieder": lieder,
}

if __name__ == "__main__":
    main()
