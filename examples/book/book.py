"""A book as a model's knowledge, in plain boto3 calls: by training on it, by retrieval from it, and by both.

    outcrop run -- python -m examples.book.book --book botchan.pdf

The questions are about what only the book knows. A text file is printed into a PDF first. The environment says where to
go (AWS_ENDPOINT_URL, keys, region) and which role everything runs under (OUTCROP_ROLE_ARN).
"""

import argparse
import json
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import boto3

from outcrop.cli.app import run as run_outcrop

from .pdf_book import write_pdf
from .services import EXTRACTS, ON_AWS, PATIENT, BookAnswer, BookServices

QUESTIONS = Path(__file__).parent / "questions.toml"
Answerer = Callable[[str], BookAnswer]


def main(arguments: Sequence[str] | None = None) -> None:
    started = time.monotonic()
    options = parse_options(arguments)
    questions = tomllib.loads(options.questions.read_text("utf-8"))["questions"][: options.most]
    services = BookServices(run=f"{options.name}-{time.strftime('%Y%m%d-%H%M%S')}")
    options.work.mkdir(parents=True, exist_ok=True)

    heading("1  A book in PDF")
    book = as_pdf(options.book, options.work)
    services.s3.create_bucket(Bucket=services.run)
    services.put(f"book/{book.name}", book)

    heading("2  Retrieval: its pages in a knowledge base")
    began = time.monotonic()
    storage = json.loads(options.storage.read_text()) if options.storage else None
    base = services.index("book/", options.encoder or an_encoder(), options.tokens, storage)
    print(f"  knowledge base {base}, after {time.monotonic() - began:.0f} s", flush=True)

    heading("3  Training: the model reads the book")
    read = read_book(services, book, options)

    heading("4  What only the book knows")
    found = ask_all(answerers(services, base, options.base, read, options.results), questions)
    print(f"\n{table(found, questions)}")
    show_answers(found, questions[0])
    seconds = time.monotonic() - started
    if options.report:
        options.report.write_text(json.dumps(as_json(found, questions, seconds), indent=2, ensure_ascii=False) + "\n")
    print(f"\nDone in {seconds:.0f} s.")


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A book by training, by retrieval, and by both.")
    parser.add_argument("--book", type=Path, required=True, help="a PDF, or a text file that becomes one")
    parser.add_argument("--questions", type=Path, default=QUESTIONS, help="what only the book knows, as questions.toml")
    parser.add_argument("--most", type=int, default=16, help="questions that are asked")
    parser.add_argument("--base", default="outcrop.starter-v1", help="base model id")
    parser.add_argument("--encoder", help="embedding model; without it, the first that the service lists")
    parser.add_argument("--storage", type=Path, help="storageConfiguration as JSON, which Amazon Bedrock needs")
    parser.add_argument("--tokens", type=int, default=150, help="of a passage")
    parser.add_argument("--results", type=int, default=2, help="passages that a model reads")
    parser.add_argument("--epochs", type=int, default=2, help="of continued pre-training; 0 trains nothing")
    parser.add_argument("--record-tokens", type=int, default=256, help="of a training record")
    parser.add_argument("--seed", type=int, default=0, help="decides which pages are held out")
    parser.add_argument("--name", default="book", help="beginning of every name this run uses")
    parser.add_argument("--work", type=Path, default=Path("book"), help="folder for the PDF and the records")
    parser.add_argument("--report", type=Path, help="file for all numbers and answers, as JSON")
    return parser.parse_args(arguments)


def as_pdf(book: Path, folder: Path) -> Path:
    """The book itself, where it is a PDF; else a PDF of its text."""
    if book.suffix.lower() == ".pdf":
        return book
    printed = folder / f"{book.stem}.pdf"
    pages = write_pdf(book.read_text("utf-8"), book.stem, printed)
    print(f"  {pages} pages, {printed.stat().st_size:,} bytes -> {printed}", flush=True)
    return printed


def an_encoder() -> str:
    """The first embedding model of the service. Ends the program where there is none."""
    found = boto3.client("bedrock", config=PATIENT).list_foundation_models(byOutputModality="EMBEDDING")
    if not found["modelSummaries"]:
        sys.exit(
            "There is no embedding model. Register one (`outcrop register`), or find by words alone: "
            "`outcrop alias amazon.titan-embed-text-v2:0 outcrop.starter-v1`."
        )
    return str(found["modelSummaries"][0]["modelId"])


def read_book(services: BookServices, book: Path, options: argparse.Namespace) -> str | None:
    """A deployment of the model that has read the book, by records of the recipe `pdf`; None where none was wanted."""
    if not options.epochs:
        return None
    records = options.work / "records"
    amounts = ["--tokens", str(options.record_tokens), "--seed", str(options.seed), "--validation", "5%", "--test", "0"]
    if run_outcrop(["data", "pdf", str(book), "--out", str(records), *amounts]) != 0:
        sys.exit(f"{book}: no records could be made of it.")
    train, validation = (
        services.put(f"records/{name}.jsonl", records / f"{name}.jsonl") for name in ("train", "validation")
    )
    deployment, minutes, loss = services.read_on(options.base, train, validation, options.epochs)
    print(f"  read in {minutes:.1f} minutes, {options.epochs} epochs; loss on pages held out {loss:.3f}", flush=True)
    return deployment


def answerers(
    services: BookServices, knowledge_base: str, base: str, read: str | None, results: int
) -> Mapping[str, Answerer]:
    """All ways to ask, by name."""

    def alone(model: str) -> Answerer:
        return lambda question: services.converse(model, question)

    def retrieving(model: str) -> Answerer:
        return lambda question: services.retrieve_and_generate(knowledge_base, model, question, results)

    ways = {"base": alone(base)}
    if read is not None:
        ways["cpt"] = alone(read)
    ways["retrieval"] = retrieving(base)
    if read is not None:
        ways["cpt and retrieval"] = retrieving(read)
    if not ON_AWS:
        ways["retrieval, extracts"] = retrieving(EXTRACTS)
    return ways


def ask_all(ways: Mapping[str, Answerer], questions: Sequence[Mapping[str, Any]]) -> dict[str, list[BookAnswer]]:
    found = {}
    for name, ask in ways.items():
        found[name] = [ask(each["question"]) for each in questions]
        print(f"  {name}: {sum(map(is_right, found[name], questions))} of {len(questions)}", flush=True)
    return found


def is_right(answer: BookAnswer, question: Mapping[str, Any]) -> bool:
    """Whether one of the words of the key stands in the answer."""
    return any(words.casefold() in answer.text.casefold() for words in question["answers"])


def table(found: Mapping[str, Sequence[BookAnswer]], questions: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        f"| {name} | {sum(map(is_right, answers, questions))} of {len(answers)} | {told_share(answers)} | "
        f"{fmean(answer.seconds for answer in answers):.1f} |"
        for name, answers in found.items()
    ]
    return "\n".join(["| | right answers | sentences that stand on a page | seconds |", "|---|---|---|---|", *rows])


def told_share(answers: Sequence[BookAnswer]) -> str:
    shares = [answer.supported for answer in answers if answer.supported is not None]
    return f"{fmean(shares):.0%}" if shares else "–"


def show_answers(found: Mapping[str, Sequence[BookAnswer]], question: Mapping[str, Any]) -> None:
    print(f"\n  > {question['question']}")
    for name, answers in found.items():
        pages = f" (page {', '.join(map(str, answers[0].pages))})" if answers[0].pages else ""
        print(f"  {name:20} {' '.join(answers[0].text.split())[:200]}{pages}")


def as_json(
    found: Mapping[str, Sequence[BookAnswer]], questions: Sequence[Mapping[str, Any]], seconds: float
) -> dict[str, Any]:
    return {
        "seconds": round(seconds, 1),
        "ways": {
            name: [
                {"question": asked["question"], "right": is_right(answer, asked), **vars(answer)}
                for asked, answer in zip(questions, answers, strict=True)
            ]
            for name, answers in found.items()
        },
    }


def heading(text: str) -> None:
    print(f"\n{text}", flush=True)


if __name__ == "__main__":
    main()
