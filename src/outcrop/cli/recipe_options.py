"""Parts that the commands of `outcrop data` share: their options, their sources, and what they print."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import getdoc
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from outcrop import settings as settings_of
from outcrop.catalog.base_model import Customization
from outcrop.catalog.catalog import Catalog
from outcrop.cli.data_files import check_data_file
from outcrop.cli.options import Home
from outcrop.clock import SystemClock
from outcrop.customization.choices import hyperparameters, prompting
from outcrop.errors import Invalid
from outcrop.recipes.card import Card
from outcrop.recipes.context import LearningModel
from outcrop.recipes.output_folder import CARD
from outcrop.recipes.recipe import Item, Kept, RecipeRun, within
from outcrop.recipes.split import PartSizes, Share, parse_share
from outcrop.recipes.template import RecordTemplate
from outcrop.recipes.writing import write
from outcrop.tokens.tokenizer import Tokenizer

_TOLD_EVERY_S = 0.5
_MOST_REASONS = 10


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RecipeOptions:
    """Options that every recipe has."""

    out: Annotated[Path, Parameter(help="Folder for the records and their card: new, or of an earlier run.")]
    train: Annotated[str | None, Parameter(help="At most so many records, or a percentage such as 80%.")] = None
    validation: Annotated[str | None, Parameter(help="A count, or a percentage such as 10%.")] = None
    test: Annotated[str | None, Parameter(help="A count, or a percentage such as 10%.")] = None
    seed: Annotated[int, Parameter(help="Decides what comes into which file, and the order.")] = 0
    most_characters: Annotated[
        int | None, Parameter(help="Records with more, prompt and completion together, are left out.")
    ] = None
    fits: Annotated[
        str | None, Parameter(help="A base model; records that are longer than its context are left out.")
    ] = None
    prompt: Annotated[
        str | None, Parameter(help="Jinja template of each prompt over the fields of its source: '{{ question }}'.")
    ] = None
    completion: Annotated[str | None, Parameter(help="The same of each completion.")] = None
    licence: Annotated[str, Parameter(help="The licence of the sources, for the card.")] = ""
    home: Home = None


def source_files(given: Sequence[Path], *, suffixes: Sequence[str] = ()) -> list[Path]:
    """The source files that a command names; with suffixes, a folder stands for all such files below it."""
    if not given:
        raise Invalid("SOURCE: none. Name the files that the recipe reads.")
    found: list[Path] = []
    for path in given:
        if suffixes and path.expanduser().is_dir():
            below = sorted(
                each for each in path.expanduser().rglob("*") if each.suffix.lower() in suffixes and each.is_file()
            )
            if not below:
                raise Invalid(f"{path}: a folder without a file that ends in {' or '.join(suffixes)}.")
            found += below
        else:
            found.append(check_data_file(path))
    return list(dict.fromkeys(found))


def prepare(
    recipe: Any,
    sources: Sequence[Path],
    items: Iterable[Item],
    options: RecipeOptions,
    *,
    split: PartSizes | None = None,
    most_characters: int | None = None,
    told: Mapping[str, object] | None = None,
) -> int:
    """Write the items of a recipe, and print what became of them.

    `split` and `most_characters` hold where the options say nothing; `told` are the recipe's own options, for the card.
    """
    name = recipe.__name__
    most = most_characters if options.most_characters is None else options.most_characters
    items = RecordTemplate(prompt=options.prompt, completion=options.completion).fill(items)
    if most is not None:
        items = within(items, most_characters=most)
    if options.fits is not None:
        items = _model(options.fits, options.home).within(items)
    run = RecipeRun(
        recipe=name,
        rule=getdoc(recipe) or "",
        sources=sources,
        options={**{key: str(value) for key, value in (told or {}).items()}, **_common(options, most)},
        licence=options.licence,
    )
    items = _counted(items, name) if sys.stderr is not None and sys.stderr.isatty() else items
    card = write(run, items, options.out, split=_split(options, split or PartSizes()), seed=options.seed)
    _print(card, options.out)
    return 0


def _common(options: RecipeOptions, most: int | None) -> dict[str, str]:
    given = {
        "most-characters": most,
        "prompt": options.prompt,
        "completion": options.completion,
        "fits": options.fits,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def _model(name: str, home: Path | None) -> LearningModel:
    settings = settings_of.read(home=home)
    model = Catalog(settings.home).usable(name)
    assert model.folder is not None
    tokenizer = Tokenizer.open(model.folder)
    values = hyperparameters.filled(model.hyperparameters, {})
    # The recommended form of prompts, as a job has it that asks for none.
    form = prompting.format_of_prompts(
        values, tokenizer, parent=None, customization=Customization.FINE_TUNING, day=SystemClock().now()
    )
    return LearningModel(name=name, tokenizer=tokenizer, context_length=model.context_length, prompt_format=form)


def _split(options: RecipeOptions, usual: PartSizes) -> PartSizes:
    def share(text: str | None, name: str, otherwise: Share) -> Share:
        return otherwise if text is None else parse_share(text, name=f"--{name}")

    return PartSizes(
        train=share(options.train, "train", usual.train),
        validation=share(options.validation, "validation", usual.validation),
        test=share(options.test, "test", usual.test),
    )


def _counted(items: Iterable[Item], name: str) -> Iterator[Item]:
    """The items, with one line on the terminal that tells how far they are."""
    kept, shown = 0, time.monotonic()
    number = 0
    for number, item in enumerate(items, start=1):
        kept += isinstance(item, Kept)
        if time.monotonic() - shown > _TOLD_EVERY_S:
            print(f"\r{name}: {number:,} items read, {kept:,} kept", end="", file=sys.stderr, flush=True)
            shown = time.monotonic()
        yield item
    print(f"\r{name}: {number:,} items read, {kept:,} kept", file=sys.stderr, flush=True)


def _print(card: Card, folder: Path) -> None:
    print(f"{card.num_in:,} items read = {card.num_kept:,} kept + {card.num_left_out:,} left out.")
    for why, number in list(card.reasons.items())[:_MOST_REASONS]:
        print(f"  left out: {number:,}: {why}")
    for file in card.files:
        if file.num_groups:
            print(f"  {folder / file.name}: {file.num_records:,} records, {file.num_groups:,} groups")
    print(f"The card is {folder / CARD}.")
