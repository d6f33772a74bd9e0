"""The held-out texts that are shipped with the starter: what a customization of it may forget is measured on them.

A few plain texts of every source that the network never saw, each cut to what its context holds with room to spare.

    python -m starter.general_texts --work build/starter
"""

import argparse
import hashlib
import json
from pathlib import Path

from starter import corpus
from starter.corpus import Document

TEXTS_OF_A_SOURCE = 6
MOST_CHARACTERS = 900
PLACE = Path("src/outcrop/catalog/bundled/starter-v1/held_out.jsonl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("build/starter"))
    parser.add_argument("--out", type=Path, default=PLACE)
    arguments = parser.parse_args()
    texts = chosen(corpus.read(arguments.work / "heldout.jsonl"))
    with arguments.out.open("w", encoding="utf-8") as file:
        for document in texts:
            line = {"input": cut(document.text), "category": document.language}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    print(f"{len(texts)} texts, {arguments.out.stat().st_size:,} bytes in {arguments.out}")


def chosen(held_out: list[Document]) -> list[Document]:
    """A few plain texts of each source and language, by hash."""
    by_source: dict[tuple[str, str], list[Document]] = {}
    for document in held_out:
        if document.form == "plain":
            by_source.setdefault((document.language, document.source), []).append(document)
    texts: list[Document] = []
    for _, documents in sorted(by_source.items()):
        by_hash = sorted(documents, key=lambda each: hashlib.sha256(each.text.encode()).digest())
        texts += by_hash[:TEXTS_OF_A_SOURCE]
    return texts


def cut(text: str) -> str:
    """The beginning of a text, cut at the end of a line or a sentence."""
    if len(text) <= MOST_CHARACTERS:
        return text.strip()
    begin = text[:MOST_CHARACTERS]
    end = max(begin.rfind(mark) + len(mark) for mark in ("\n", "。", ". "))
    return (begin[:end] if end > MOST_CHARACTERS // 2 else begin).strip()


if __name__ == "__main__":
    main()
