"""Passages as a search finds them, made by hand."""

from outcrop.knowledge.answering.terms import terms_of
from outcrop.knowledge.passages import DocumentKey, Found, Metadata, Passage
from tests.support.rule_book import RULES


def found(
    text: str, *, number: int = 0, headings: tuple[str, ...] = (), metadata: Metadata | None = None, score: float = 0.5
) -> Found:
    """A passage of a document of its own."""
    passage = Passage(chunk_id=f"chunk-{number}", text=text, headings=headings, start=0, end=len(text))
    key = DocumentKey("SOURCE0000", f"s3://rules/{number}.txt")
    return Found(document=key, passage=passage, text=text, metadata=metadata or {"n": number}, score=score)


def found_rules(question: str, *, most: int = 6) -> list[tuple[str, Found]]:
    """The rules of the book that share most terms with the question, by number."""
    asked = terms_of(question).terms
    shared = {number: len(asked & terms_of(f"{rule.title} {rule.text}").terms) for number, rule in RULES.items()}
    best = sorted(shared, key=lambda number: -shared[number])[:most]
    places = {number: place for place, number in enumerate(RULES)}
    return [
        (number, found(RULES[number].text, number=places[number], headings=(RULES[number].title,))) for number in best
    ]
