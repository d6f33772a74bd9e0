"""Texts, books and rules become data that a job takes, and learning it lowers the loss of what was held out."""

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import pytest

from outcrop.catalog.catalog import Catalog
from outcrop.recipes.chunking import ChunkSize
from outcrop.recipes.pdf import pdf
from outcrop.recipes.recipe import Item, RecipeRun
from outcrop.recipes.rules import rules
from outcrop.recipes.split import PartSizes, Share
from outcrop.recipes.text import text
from outcrop.recipes.writing import write
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.sample_data import sample
from tests.support.starter_training import check_that_it_teaches

FEW = PartSizes(train=Share(count=16), validation=Share(count=6))
SIZE = ChunkSize(tokens=64, overlap=8)


def of_text(source: Path, tokenizer: Tokenizer) -> Iterable[Item]:
    return text([source], tokenizer=tokenizer, size=SIZE)


def of_pdf(source: Path, tokenizer: Tokenizer) -> Iterable[Item]:
    size = ChunkSize(tokens=SIZE.tokens, overlap=SIZE.overlap, close_at_page_from=SIZE.tokens // 4)
    return pdf([source], tokenizer=tokenizer, size=size)


def of_rules(source: Path, tokenizer: Tokenizer) -> Iterable[Item]:
    return rules([source], tokenizer=tokenizer, tokens=SIZE.tokens)


@pytest.mark.parametrize(
    ("items_of", "name", "every"),
    [
        (of_text, "aozora-wagahai/wagahai.ch01-09.plain.txt", 8),
        (of_pdf, "pdf-samples/octank_financial_10K.pdf", 10),
        (of_rules, "us-securities-law/sections.jsonl", 12),
    ],
)
def test_a_recipe_s_chunks_pass_preflight_and_lower_the_held_out_loss(
    tmp_path: Path, items_of: Callable[[Path, Tokenizer], Iterable[Item]], name: str, every: int
) -> None:
    starter = Catalog(tmp_path / "home").usable("outcrop.starter-v1")
    assert starter.folder is not None
    tokenizer = Tokenizer.open(starter.folder)
    source = sample(name)
    run = RecipeRun(recipe="documents", rule="", sources=[source])
    write(run, islice(items_of(source, tokenizer), 0, 50 * every, every), tmp_path / "out", split=FEW)
    report = check_that_it_teaches(tmp_path / "out", "CONTINUED_PRE_TRAINING", tmp_path)
    assert [file.split for file in report.files] == [(), ()]
    assert max(file.longest.tokens for file in report.files if file.longest is not None) <= SIZE.tokens
