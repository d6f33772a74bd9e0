"""Chunks of documents: as many whole sentences as fit a number of tokens, the last ones repeated in the next.

Chunks that overlap are of one group. After some chunks a group ends, and the next chunk repeats nothing, so that a
single book too can be divided into training and validation without a sentence in both.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from outcrop.documents.section import Section
from outcrop.documents.sentences import sentences_of, sentences_over
from outcrop.tokens import prompt_format
from outcrop.tokens.tokenizer import PlacedText, TextPlace, Tokenizer

GROUP = 8
"Chunks that overlap each other, if the document is that long; a page stays in one group."
_COUNTED_TOGETHER = 256
_CLAUSE = re.compile(r"(?<=[,;:—–])\s+|(?<=[、，；：])|\n+")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class ChunkSize:
    """How large chunks are."""

    tokens: int
    "At most so many, the beginning and end tokens of the base included."
    overlap: int
    "At most so many tokens of sentences are repeated."
    close_at_page_from: int | None = None
    "A chunk of at least so many tokens ends with its page."


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence with its place; a longer one than a chunk comes in several, `is_cut` each."""

    text: str
    section: Section
    num_tokens: int
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Sentences of one document in a row."""

    sentences: tuple[Sentence, ...]
    num_repeated: int
    "Sentences at its beginning that the chunk before ends with."
    group: int
    "Counted within the document."

    @property
    def text(self) -> str:
        return "".join(sentence.text for sentence in self.sentences)

    @property
    def new_text(self) -> str:
        """The text without what is repeated: in a row, the document."""
        return "".join(sentence.text for sentence in self.sentences[self.num_repeated :])

    @property
    def section(self) -> Section:
        """The section in which its new text begins."""
        return self.sentences[self.num_repeated].section

    @property
    def is_cut(self) -> bool:
        """Whether it holds a part of a sentence only."""
        return self.sentences[self.num_repeated].is_cut or self.sentences[-1].is_cut


def chunks_of(sections: Iterable[Section], tokenizer: Tokenizer, size: ChunkSize) -> Iterator[Chunk]:
    """The chunks of documents that come one after the other, in constant memory."""
    chunker = _Chunker(tokenizer, size)
    for sentence in _counted(_sentences(sections), tokenizer):
        yield from chunker.add(sentence)
    yield from chunker.end_document()


def chunks_of_paragraphs(paragraphs: Iterable[Section], tokenizer: Tokenizer, size: ChunkSize) -> Iterator[Chunk]:
    """Chunks that end with a paragraph; one that alone is longer is parted between its sentences."""
    chunker = _Chunker(tokenizer, size)
    for whole in _counted(((paragraph, paragraph.text) for paragraph in paragraphs), tokenizer):
        if chunker.has_room_for(whole):
            yield from chunker.add(whole)
            continue
        for sentence in _counted(((whole.section, text) for text in sentences_of(whole.text)), tokenizer):
            yield from chunker.add(sentence)
    yield from chunker.end_document()


def _counted(texts: Iterable[tuple[Section, str]], tokenizer: Tokenizer) -> Iterator[Sentence]:
    """Texts with their tokens, counted many at a time."""
    coming = iter(texts)
    while batch := list(islice(coming, _COUNTED_TOGETHER)):
        several = tokenizer.encode_batch([PlacedText(text, TextPlace.CONTINUATION) for _, text in batch])
        for (section, text), ids in zip(batch, several, strict=True):
            yield Sentence(text=text, section=section, num_tokens=len(ids))


def _sentences(sections: Iterable[Section]) -> Iterator[tuple[Section, str]]:
    """Sentences, each with the section in which it begins."""
    known: deque[Section] = deque()

    def parts(first: Section) -> Iterator[tuple[str, str]]:
        section: Section | None = first
        while section is not None and section.document == first.document:
            known.append(section)
            yield str(section.start), section.text
            section = next(coming, None)
        waiting.append(section)

    coming = iter(sections)
    waiting: list[Section | None] = [next(coming, None)]
    while (first := waiting.pop()) is not None:
        known.clear()
        for start, sentence in sentences_over(parts(first)):
            while str(known[0].start) != start:
                known.popleft()
            yield known[0], sentence


class _Chunker:
    """Sentences on their way to chunks."""

    def __init__(self, tokenizer: Tokenizer, size: ChunkSize) -> None:
        self._tokenizer = tokenizer
        self._size = size
        self._room = size.tokens - len(prompt_format.encode_text(tokenizer, ""))
        self._held: list[Sentence] = []
        self._num_held = 0
        "Tokens of the sentences held, each for itself; together they may have others."
        self._num_repeated = 0
        self._group = self._num_in_group = 0

    def count(self, text: str) -> int:
        """Tokens of a text that goes on from another one."""
        return len(self._tokenizer.encode(text, begin=False))

    def has_room_for(self, sentence: Sentence) -> bool:
        """Whether a chunk could hold it."""
        return sentence.num_tokens <= self._room

    def add(self, sentence: Sentence) -> Iterator[Chunk]:
        if self._held and sentence.section.document != self._held[-1].section.document:
            yield from self.end_document()
        if sentence.num_tokens > self._room:
            for text in cut(sentence.text, self.count, self._room):
                yield from self._add(_part(sentence, text, self.count(text)))
        else:
            yield from self._add(sentence)

    def end_document(self) -> Iterator[Chunk]:
        while self._has_new:
            yield from self._close(None)
        self._hold([], 0)
        self._group = self._num_in_group = 0

    def _add(self, sentence: Sentence) -> Iterator[Chunk]:
        if self._has_new and (self._num_held + sentence.num_tokens > self._room or self._page_ends(sentence)):
            yield from self._close(sentence)
        while self._num_repeated and self._num_held + sentence.num_tokens > self._room:
            self._hold(self._held[1:], self._num_repeated - 1)
        self._held.append(sentence)
        self._num_held += sentence.num_tokens

    @property
    def _has_new(self) -> bool:
        return len(self._held) > self._num_repeated

    def _hold(self, sentences: list[Sentence], num_repeated: int) -> None:
        self._held, self._num_repeated = sentences, num_repeated
        self._num_held = sum(each.num_tokens for each in sentences)

    def _page_ends(self, sentence: Sentence) -> bool:
        least = self._size.close_at_page_from
        return least is not None and sentence.section.page != self._held[-1].section.page and self._num_held >= least

    def _close(self, following: Sentence | None) -> Iterator[Chunk]:
        """The chunk that is held. What the next repeats stays, and what did not fit goes there."""
        over = self._over()
        yield Chunk(sentences=tuple(self._held), num_repeated=self._num_repeated, group=self._group)
        self._repeat(over[0] if over else following)
        for sentence in over:
            yield from self._add(sentence)

    def _over(self) -> list[Sentence]:
        """Sentences taken off the end until the rest fits: together they may have more tokens than each for itself."""
        over: list[Sentence] = []
        while len(prompt_format.encode_text(self._tokenizer, "".join(each.text for each in self._held))) > (
            self._size.tokens
        ):
            if self._num_repeated:
                self._hold(self._held[1:], self._num_repeated - 1)
            elif len(self._held) > 1:
                over.insert(0, self._held.pop())
            elif len(whole := self._held[0].text) > 1:
                half = len(whole) // 2
                parts = [_part(self._held[0], text, self.count(text)) for text in (whole[:half], whole[half:])]
                self._held = parts[:1]
                over.insert(0, parts[1])
            else:
                break  # one letter alone: it cannot be shorter
        return over

    def _repeat(self, following: Sentence | None) -> None:
        self._num_in_group += 1
        page, last = following.section.page if following else None, self._held[-1].section.page
        same_page = page is not None and page == last
        if not self._size.overlap or (self._num_in_group >= GROUP and not same_page):
            self._group += not same_page
            self._num_in_group = 0
            self._hold([], 0)
            return
        room, kept = self._size.overlap, 0
        while kept < len(self._held) - 1 and self._held[-1 - kept].num_tokens <= room:
            room -= self._held[-1 - kept].num_tokens
            kept += 1
        self._hold(self._held[len(self._held) - kept :], kept)


def _part(sentence: Sentence, text: str, num_tokens: int) -> Sentence:
    return Sentence(text=text, section=sentence.section, num_tokens=num_tokens, is_cut=True)


def cut(text: str, count: Callable[[str], int], room: int) -> Iterator[str]:
    """A sentence in parts of at most `room` tokens, at the ends of clauses, else of words, else of letters."""
    held, num_held = "", 0
    for part, num_tokens in _fine(text, count, room, [_CLAUSE, _SPACE]):
        if held and num_held + num_tokens > room:
            yield held
            held, num_held = "", 0
        held += part
        num_held += num_tokens
    if held:
        yield held


def _fine(
    text: str, count: Callable[[str], int], room: int, divides: Sequence[re.Pattern[str]]
) -> Iterator[tuple[str, int]]:
    for part in _split_after(divides[0], text):
        num_tokens = count(part)
        if num_tokens <= room:
            yield part, num_tokens
        elif len(divides) > 1:
            yield from _fine(part, count, room, divides[1:])
        else:
            yield from _letters(part, count, room)


def _split_after(divide: re.Pattern[str], text: str) -> list[str]:
    ends = [found.end() for found in divide.finditer(text) if 0 < found.end() < len(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def _letters(word: str, count: Callable[[str], int], room: int) -> Iterator[tuple[str, int]]:
    while word:
        low, high = 1, min(len(word), 8 * max(room, 1)) + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(word[:middle]) <= room else (low, middle)
        yield word[:low], count(word[:low])
        word = word[low:]
