"""Documents as the recipes read them: sections to chunk, and what could not be read as items left out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from outcrop.documents.reading import Reader, read_document
from outcrop.documents.section import BadDocument, Section, Unread
from outcrop.recipes.chunking import Chunk, ChunkSize, chunks_of
from outcrop.recipes.recipe import Dropped, Item, Kept, source_names
from outcrop.tokens.tokenizer import Tokenizer

CUT = "a sentence longer than a chunk was cut at a clause or a word"


def sections_of(
    sources: Sequence[Path], leave_out: Callable[[Dropped], None], *, read: Reader = read_document
) -> Iterator[Section]:
    """The sections of all sources, named as the card names them; what cannot be read is told to `leave_out`."""
    for path, name in source_names(sources).items():
        try:
            for part in read(path):
                document = name + part.document.removeprefix(path.name)
                if isinstance(part, Unread):
                    leave_out(Dropped(origin=f"{document}: {part.place}", reason=part.reason))
                else:
                    yield replace(part, document=document)
        except BadDocument as problem:
            where, _, what = problem.message.partition(": ")
            reason, detail = (what, "") if where == path.name else (problem.message, "")
            leave_out(Dropped(origin=name, reason=reason.rstrip("."), detail=detail))


def chunked(
    sources: Sequence[Path], tokenizer: Tokenizer, size: ChunkSize, *, read: Reader = read_document
) -> Iterator[Item]:
    """Every chunk of the sources as an {"input"} record, and what was left out, in order."""
    left_out: list[Dropped] = []
    for chunk in chunks_of(sections_of(sources, left_out.append, read=read), tokenizer, size):
        yield from taken(left_out)
        yield _item(chunk)
    yield from taken(left_out)


def taken(left_out: list[Dropped]) -> Iterable[Dropped]:
    """Items left out since the last call."""
    since = left_out.copy()
    left_out.clear()
    return since


def _item(chunk: Chunk) -> Item:
    section, text = chunk.section, chunk.text.strip("\n").rstrip()
    origin = f"{section.document}: {section.place}"
    if not text:
        return Dropped(origin=origin, reason="nothing but blanks")
    fields = {
        "text": text,
        "document": section.document,
        "headings": list(section.headings),
        "page": section.page,
        "place": section.place,
    }
    group = f"{section.document}#{chunk.group}"
    return Kept(record={"input": text}, group=group, origin=origin, fields=fields, note=CUT if chunk.is_cut else "")
