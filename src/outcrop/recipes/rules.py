"""Recipe `rules`: numbered rule books to passages that keep their numbers, or to questions with their answers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from outcrop.documents.section import Section
from outcrop.recipes.chunking import Chunk, ChunkSize, chunks_of_paragraphs
from outcrop.recipes.documents import CUT, sections_of, taken
from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.rows import SourceRow, rows
from outcrop.recipes.rule_numbers import RuleHead, SubsectionMarks, head_of, key_of, rule_and_place, text_after
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import Tokenizer

_QUESTION = ("question", "prompt")
_ANSWER = ("answer", "completion", "response")
_RULE = ("rule", "number", "rule_number", "rule number", "section", "article", "id", "条文")
_BEFORE = "text before the first numbered rule"


@dataclass(frozen=True, kw_only=True)
class RulePassage:
    """A rule, or a part of a long one, with its number and the headings above it."""

    number: str
    "With the place within the rule: § 78c(a)(5)."
    key: str
    "The rule's number as it is compared."
    places: frozenset[str]
    "Of its paragraphs within the rule."
    headings: tuple[str, ...]
    title: str
    text: str
    "With the headings, number and title above it."
    origin: str
    is_cut: bool


def rules(
    sources: Sequence[Path],
    *,
    tokenizer: Tokenizer,
    tokens: int,
    questions: Path | None = None,
    with_passage: bool = True,
) -> Iterator[Item]:
    """Numbered rule books, as passages that keep their numbers, or as questions with their answers.

    Source: documents of any form (see the recipe text) whose rules begin with a number at the beginning of a line:
    § 240.10b-5, Rule 1.2(a), Section 5, Article IV, 1.2.3, 第3条. Licence: that of the rule books; statutes are free.

    Without questions, each passage is {"input": TEXT}: the headings above the rule, its number and title, its text.
    A rule with more than `tokens` tokens is parted between its paragraphs, and each part begins with its own number,
    such as § 78c(a)(5). Text before the first number is left out. A rule is a group.

    With a file of questions (columns question, answer, rule), each record is {"prompt", "completion"}: the passage of
    the rule and the question, or the question alone; then the answer. A question whose rule is not in the book is left
    out. Questions on one rule are a group.
    """
    left_out: list[Dropped] = []
    passages = passages_of(sections_of(sources, left_out.append), tokenizer, tokens, left_out.append)
    if questions is not None:
        yield from _pairs(passages, questions, left_out, with_passage=with_passage)
        return
    for passage in passages:
        yield from taken(left_out)
        yield Kept(
            record={"input": passage.text},
            group=passage.key,
            origin=passage.origin,
            fields=_fields(passage),
            note=CUT if passage.is_cut else "",
        )
    yield from taken(left_out)


def passages_of(
    sections: Iterable[Section], tokenizer: Tokenizer, tokens: int, leave_out: Callable[[Dropped], None]
) -> Iterator[RulePassage]:
    """The passages of rule books in order; text without a number, and rules without text, are told to `leave_out`."""
    for rule, paragraphs in groupby(_paragraphs(sections, leave_out), key=lambda each: each.rule):
        yield from _parts(rule, _with_blanks(paragraphs), tokenizer, tokens, leave_out)


@dataclass(eq=False)
class _ReadRule:
    """A rule while its text is read."""

    number: str
    title: str
    headings: list[str]
    section: Section
    has_text: bool = False


@dataclass(frozen=True)
class _RuleParagraph:
    rule: _ReadRule
    place: str
    text: str


def _paragraphs(sections: Iterable[Section], leave_out: Callable[[Dropped], None]) -> Iterator[_RuleParagraph]:
    book = _Book()
    for section in sections:
        if section.document != book.document:
            book = _Book(section.document)
        unnumbered = False
        for line, is_heading, alone in book.lines(section):
            head = head_of(line, is_heading=is_heading, alone=alone)
            if head is not None:
                yield from book.begin(head, section, line)
            elif book.rule is not None:
                book.rule.has_text |= bool(line.strip())
                bare = line.lstrip("#").lstrip() if line.startswith("#") else line
                yield _RuleParagraph(book.rule, book.marks.read(line), bare)
            elif line.strip() and not is_heading:
                unnumbered = True
        if unnumbered:
            leave_out(Dropped(origin=f"{section.document}: {section.place}", reason=_BEFORE))


class _Book:
    """A rule book while it is read: the path down to the rule at hand."""

    def __init__(self, document: str = "") -> None:
        self.document = document
        self.rule: _ReadRule | None = None
        self.marks = SubsectionMarks()
        self._path: list[RuleHead] = []
        self._headings: tuple[str, ...] = ()

    def lines(self, section: Section) -> Iterator[tuple[str, bool, bool]]:
        """Lines, whether each is a heading, and whether it stands alone. Headings beside the text come first."""
        lines = section.text.split("\n")
        first = next((line for line in lines if line.strip()), "")
        known, self._headings = self._headings, section.headings
        for at, heading in enumerate(section.headings):
            if section.headings[: at + 1] != known[: at + 1] and heading not in section.text[: 4 * len(heading) + 200]:
                yield heading, True, True
        title = section.headings[-1] if section.headings else None
        for at, line in enumerate(lines):
            is_heading = title is not None and line is first and title.strip() in line
            around = [each.strip() for each in (*lines[at - 1 : at], *lines[at + 1 : at + 2])] if at else lines[1:2]
            yield line + "\n", is_heading or line.startswith("#"), not any(around) or at == 0

    def begin(self, head: RuleHead, section: Section, line: str) -> Iterator[_RuleParagraph]:
        """Take a head in; the text on a rule's own line comes first."""
        if head.level < 3 and self.rule is not None and not self.rule.has_text:
            # Where the chapter is told below the number of its rule.
            self.rule.headings.append(f"{head.number} {head.title}".strip())
            return
        self._path = [*(each for each in self._path if each.level < head.level), head]
        self.marks = SubsectionMarks()
        if head.level < 3:
            self.rule = None
            return
        above = [f"{each.number} {each.title}".strip() for each in self._path[:-1]]
        more = text_after(line, head)
        article = next((each for each in self._path[:-1] if each.level == 3), None)
        number = head.number if article is None else f"{article.number} {head.number}"
        self.rule = _ReadRule(number, head.title, above, section, has_text=bool(more))
        yield _RuleParagraph(self.rule, "", more + "\n")


def _with_blanks(paragraphs: Iterable[_RuleParagraph]) -> Iterator[_RuleParagraph]:
    """Paragraphs, each with the blank lines after it."""
    held: _RuleParagraph | None = None
    for paragraph in paragraphs:
        if held is not None and not paragraph.text.strip():
            held = replace(held, text=held.text + paragraph.text)
        elif paragraph.text.strip():
            if held is not None:
                yield held
            held = paragraph
    if held is not None:
        yield held


def _parts(
    rule: _ReadRule,
    paragraphs: Iterable[_RuleParagraph],
    tokenizer: Tokenizer,
    tokens: int,
    leave_out: Callable[[Dropped], None],
) -> Iterator[RulePassage]:
    head = _head(rule, "")
    around = len(prompt_format.encode_text(tokenizer, head)) + 8  # a part's own number is longer
    if around > tokens // 2:
        head, around = rule.number + "\n\n", len(prompt_format.encode_text(tokenizer, rule.number)) + 10
    size = ChunkSize(tokens=max(tokens - around, 8), overlap=0)
    sections = (
        Section(document=rule.number, place=each.place, start=number, text=each.text)
        for number, each in enumerate(paragraphs)
    )
    found = False
    for chunk in chunks_of_paragraphs(sections, tokenizer, size):
        found = True
        yield _passage(rule, chunk, is_short=head.startswith(rule.number))
    if not found:
        leave_out(Dropped(origin=_origin(rule), reason="a rule without text", detail=rule.number))


def _passage(rule: _ReadRule, chunk: Chunk, *, is_short: bool) -> RulePassage:
    place = chunk.section.place if chunk.sentences[0].section.start else ""
    number = rule.number + place
    head = f"{number}\n\n" if is_short and rule.headings else _head(rule, place)
    return RulePassage(
        number=number,
        key=key_of(rule.number),
        places=frozenset(each.section.place for each in chunk.sentences),
        headings=tuple(rule.headings),
        title=rule.title,
        text=head + chunk.text.strip("\n").rstrip(),
        origin=_origin(rule),
        is_cut=chunk.is_cut,
    )


def _head(rule: _ReadRule, place: str) -> str:
    title = f"{rule.number}{place}. {rule.title}" if rule.title else f"{rule.number}{place}"
    return "\n".join([*rule.headings, title]) + "\n\n"


def _origin(rule: _ReadRule) -> str:
    return f"{rule.section.document}: {rule.section.place}"


def _fields(passage: RulePassage) -> dict[str, object]:
    return {
        "number": passage.number,
        "title": passage.title,
        "headings": list(passage.headings),
        "text": passage.text,
    }


def _pairs(
    passages: Iterable[RulePassage], questions: Path, left_out: list[Dropped], *, with_passage: bool
) -> Iterator[Item]:
    asked = {rule_and_place(_column(row, _RULE))[0] for row in rows([questions]) if isinstance(row, SourceRow)}
    found: dict[str, list[RulePassage]] = {}
    for passage in passages:
        if passage.key in asked:
            found.setdefault(passage.key, []).append(passage)
    # Of the book, only files that could not be read are told: text without a number was not asked for.
    yield from (item for item in left_out if item.reason not in (_BEFORE, "a rule without text"))
    for row in rows([questions]):
        yield row if isinstance(row, Dropped) else _pair(row, found, with_passage=with_passage)


def _pair(row: SourceRow, found: dict[str, list[RulePassage]], *, with_passage: bool) -> Item:
    question, answer, number = (_column(row, names) for names in (_QUESTION, _ANSWER, _RULE))
    for name, value in (("question", question), ("answer", answer), ("rule", number)):
        if not value:
            return Dropped(origin=row.origin, reason=f"no {name}")
    rule, place = rule_and_place(number)
    parts = found.get(rule)
    if parts is None:
        return Dropped(origin=row.origin, reason="its rule is not in the book", detail=number)
    passage = next((part for part in parts if place in part.places), parts[0])
    prompt = f"{passage.text}\n\n{question}" if with_passage else question
    return Kept(
        record={"prompt": prompt, "completion": answer},
        group=rule,
        origin=row.origin,
        fields={**_fields(passage), "passage": passage.text, "question": question, "answer": answer},
    )


def _column(row: SourceRow, names: Sequence[str]) -> str:
    by_name = {str(name).strip().casefold(): value for name, value in row.fields.items()}
    return next((str(by_name[name]).strip() for name in names if by_name.get(name) not in (None, "")), "")
