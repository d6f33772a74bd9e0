"""`outcrop data text`, `pdf` and `rules`: documents made into records that fit a base model."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from outcrop import settings as settings_of
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.cli.recipe_options import RecipeOptions, prepare, source_files
from outcrop.documents.reading import SUFFIXES
from outcrop.errors import Invalid
from outcrop.recipes import pdf as pdf_recipe
from outcrop.recipes import rules as rules_recipe
from outcrop.recipes import text as text_recipe
from outcrop.recipes.chunking import ChunkSize
from outcrop.tokens.tokenizer import Tokenizer

_MOST_TOKENS = 2048
"A chunk's size where nobody names one, and the base reads more."
_PAGE_TOKENS = 1024
_LEAST_TOKENS = 16
_OVERLAPS = 10
"A tenth of a chunk is repeated where nobody says how much."


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ChunkOptions:
    """Options of recipes that cut text for a base model."""

    base: Annotated[str, Parameter(help="Base model whose tokenizer counts.")] = "outcrop.starter-v1"
    tokens: Annotated[int | None, Parameter(help="At most so many tokens a record; the base's context is the end.")] = (
        None
    )


Overlap = Annotated[int | None, Parameter(help="Tokens of the chunk before that one repeats; a tenth if not named.")]


def add_to(app: App) -> None:
    """Add these commands to `outcrop data`."""
    for command in (text, pdf, rules):
        app.command(command)


def text(*sources: Path, chunk: ChunkOptions | None = None, overlap: Overlap = None, options: RecipeOptions) -> int:
    """Documents (text, Markdown, HTML, DOCX, EPUB, PDF, Wikipedia dumps, JSON Lines) in chunks of whole sentences."""
    files = source_files(sources, suffixes=SUFFIXES)
    tokenizer, size, told = _chunks(chunk, overlap, _MOST_TOKENS, options.home)
    return prepare(text_recipe.text, files, text_recipe.text(files, tokenizer=tokenizer, size=size), options, told=told)


def pdf(*sources: Path, chunk: ChunkOptions | None = None, overlap: Overlap = None, options: RecipeOptions) -> int:
    """Books in PDF in chunks of about a page, without running heads and page numbers."""
    files = source_files(sources, suffixes=(".pdf",))
    tokenizer, size, told = _chunks(chunk, overlap, _PAGE_TOKENS, options.home)
    size = replace(size, close_at_page_from=size.tokens // 4)
    return prepare(pdf_recipe.pdf, files, pdf_recipe.pdf(files, tokenizer=tokenizer, size=size), options, told=told)


def rules(
    *sources: Path,
    questions: Annotated[Path | None, Parameter(help="CSV or JSON Lines: question, answer, rule.")] = None,
    passages: Annotated[bool, Parameter(help="Whether a prompt holds the rule before the question.")] = True,
    chunk: ChunkOptions | None = None,
    options: RecipeOptions,
) -> int:
    """Numbered rule books in passages that keep their numbers, or questions on them with their answers."""
    files = source_files(sources, suffixes=SUFFIXES)
    tokenizer, size, told = _chunks(chunk, 0, _MOST_TOKENS, options.home)
    asked = None if questions is None else check_data_file(questions)
    del told["overlap"]
    if asked is not None:
        told |= {"questions": asked.name, "passages": "yes" if passages else "no"}
    items = rules_recipe.rules(files, tokenizer=tokenizer, tokens=size.tokens, questions=asked, with_passage=passages)
    return prepare(rules_recipe.rules, [*files, *([asked] if asked else [])], items, options, told=told)


def _chunks(
    chunk: ChunkOptions | None, overlap: int | None, usual: int, home: Path | None
) -> tuple[Tokenizer, ChunkSize, dict[str, str]]:
    """The base's tokenizer, the size of chunks, and what the card tells of both."""
    chunk = chunk or ChunkOptions()
    model = Catalog(settings_of.read(home=home).home).usable(chunk.base)
    assert model.folder is not None
    tokens = min(usual, model.context_length) if chunk.tokens is None else chunk.tokens
    if not _LEAST_TOKENS <= tokens <= model.context_length:
        raise Invalid(
            f"--tokens: {tokens:,} is not between {_LEAST_TOKENS} and {model.context_length:,}, the context of "
            f"{chunk.base}. Choose a number between them."
        )
    overlap = tokens // _OVERLAPS if overlap is None else overlap
    if not 0 <= overlap <= tokens // 2:
        raise Invalid(
            f"--overlap: {overlap:,} is not between 0 and {tokens // 2:,}, half a chunk. Choose such a number."
        )
    told = {"base": chunk.base, "tokens": f"{tokens:,}", "overlap": f"{overlap:,}"}
    return Tokenizer.open(model.folder), ChunkSize(tokens=tokens, overlap=overlap), told
