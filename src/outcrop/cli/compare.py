"""`outcrop compare`: models on the same questions, in one table with intervals, which may say: not better."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.catalog.catalog import Catalog
from outcrop.cli import export
from outcrop.cli.data_files import check_data_file
from outcrop.datasets.observing.observer import text_of
from outcrop.errors import Invalid, OutcropError
from outcrop.evaluation import api_encoder, comparison, general_texts, measures, questions
from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.api_client import ApiAddress
from outcrop.evaluation.comparison import ComparisonPlan
from outcrop.evaluation.general_texts import GeneralTexts
from outcrop.evaluation.report import as_html, as_json, as_text
from outcrop.evaluation.scores.copying import RunIndex
from outcrop.evaluation.scores.table import ScoreMaterials
from outcrop.settings import DEFAULT_REGION, Settings


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """The options of `outcrop compare`, as the command was given them."""

    models: Sequence[str]
    data: Path
    scores: str | None
    encoder: str | None
    training: Path | None
    max_tokens: int
    temperature: float
    top_p: float
    seed: int
    seeds: int
    first: int | None
    general: Path | None
    no_general: bool
    unchecked: bool
    again: bool
    at_once: int
    html: Path | None
    as_json: bool


def compare(settings: Settings, asked: CompareOptions, *, region: str | None) -> int:
    """Print the report. Raises Invalid, RecordError, NotFound, Denied, MachineTrouble."""
    address = api_address(settings, region or DEFAULT_REGION)
    plan = _plan(settings, asked, address)
    if asked.html is not None and not asked.html.expanduser().parent.is_dir():
        raise Invalid(f"--html: there is no folder {asked.html.parent}. Make it first.")
    with progress_bar(quiet=asked.as_json) as progress:
        report = comparison.run(plan, address, progress=progress)
    if asked.html is not None:
        asked.html.expanduser().write_text(as_html.of_report(report), encoding="utf-8")
    if asked.as_json:
        print(json.dumps(as_json.of_report(report), indent=2, ensure_ascii=False))
    else:
        print(as_text.of_report(report))
        if asked.html is not None:
            print(f"\nWritten: {asked.html}")
    return 0


def _plan(settings: Settings, asked: CompareOptions, address: ApiAddress) -> ComparisonPlan:
    scores = measures.DEFAULT if asked.scores is None else _spellings(asked.scores)
    read = questions.read_file(check_data_file(asked.data), name=asked.data.name)
    return ComparisonPlan(
        models=tuple(asked.models),
        questions=read if asked.first is None else read[: asked.first],
        name=asked.data.name,
        measures=comparison.find_measures(scores, _materials(asked, address)),
        settings=AnswerSettings(
            max_tokens=asked.max_tokens, temperature=asked.temperature, top_p=asked.top_p, seed=asked.seed
        ),
        num_seeds=asked.seeds,
        general=_general(settings, asked),
        looks_for_contamination=not asked.unchecked,
        kept=None if asked.again else settings.home / comparison.FOLDER,
        at_once=asked.at_once,
    )


def _materials(asked: CompareOptions, address: ApiAddress) -> ScoreMaterials:
    """The things that scores need beyond answers, as far as they are named."""
    training = None
    if asked.training is not None:
        learned = questions.read_file(check_data_file(asked.training), name=asked.training.name)
        training = RunIndex(text_of(record) for each in learned if (record := each.record) is not None)
    encode = None if asked.encoder is None else api_encoder.encoder(address, asked.encoder)
    return ScoreMaterials(encode=encode, training=training)


def _spellings(given: str) -> list[str]:
    """The scores in `loss,rouge_l` or `loss;accuracy:yes,no`: with semicolons, where an argument has commas."""
    return [each.strip() for each in given.split(";" if ";" in given else ",") if each.strip()]


def _general(settings: Settings, asked: CompareOptions) -> GeneralTexts | None:
    """The texts of the forgetting check: a file's, or those that come with a base model that is compared."""
    if asked.no_general:
        return None
    if asked.general is not None:
        return general_texts.of_file(check_data_file(asked.general))
    if len(asked.models) < 2:
        return None
    catalog = Catalog(settings.home)
    for name in asked.models:
        try:
            folder = catalog.usable(name).folder
        except OutcropError:
            continue
        if folder is not None and (found := general_texts.of_base(folder)) is not None:
            return found
    return None


def api_address(settings: Settings, region: str) -> ApiAddress:
    """The running installation as evaluations reach it, as the administrator."""
    made = export.installation(settings)
    return ApiAddress(
        endpoint=settings.endpoint,
        key=f"{made.access_key_id}:{made.secret_access_key}",
        client=lambda service: export.client(settings, service, region),
        region=region,
        trusted=None if settings.tls_ca is None else str(settings.tls_ca),
    )


@contextmanager
def progress_bar(*, quiet: bool) -> Iterator[comparison.Progress]:
    """A bar for each model, where there is a terminal to show it on."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        tasks: dict[str, Any] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield told
