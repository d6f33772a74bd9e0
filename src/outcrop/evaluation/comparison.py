"""Models compared on a file of questions: asked, scored, looked through for what they learned from, and reported.

    from outcrop.evaluation.comparison import compare
    report = compare(["outcrop.starter-v1", "haiku"], "test.jsonl")        # in the environment of `outcrop env`
    print(as_text.of_report(report))

Everything goes through the API. What was answered is kept, so that a second run asks nothing, and one that was killed
goes on.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from outcrop import settings as settings_of
from outcrop.errors import Invalid
from outcrop.evaluation import api_encoder, asking_api, contamination, general_texts, judged, measures, questions
from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.api_client import ApiAddress, ApiClient, address_of_environment
from outcrop.evaluation.asking_api import ModelIdentity, OpenedModel
from outcrop.evaluation.collecting import AT_ONCE, CollectedAnswers, collect
from outcrop.evaluation.general_texts import GeneralTexts
from outcrop.evaluation.judged import JudgedEntries, JudgeMeasure
from outcrop.evaluation.kept_answers import KeptAnswers
from outcrop.evaluation.measures import BITS_PER_BYTE, DEFAULT, LikelihoodMeasure, Measure
from outcrop.evaluation.questions import Question
from outcrop.evaluation.report.building import report_of
from outcrop.evaluation.report.value import ComparisonReport, ContaminationReport
from outcrop.evaluation.scores.scoring import TextScore
from outcrop.evaluation.scores.table import ScoreMaterials

FOLDER = "evaluations"
"In the home: answers that are kept."
Progress = Callable[[str, int, int], object]
"Told what is asked now, how much of it is done, and how much it is."


def unheard(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, kw_only=True)
class ComparisonPlan:
    """A comparison, decided before anything is asked."""

    models: tuple[str, ...]
    "The first is the baseline."
    questions: Sequence[Question]
    name: str
    "Of the questions' file."
    measures: Sequence[Measure | JudgeMeasure]
    settings: AnswerSettings = field(default_factory=AnswerSettings)
    num_seeds: int = 1
    general: GeneralTexts | None = None
    "Texts of the forgetting check; None leaves it out."
    looks_for_contamination: bool = True
    kept: Path | None = None
    "The folder of answers that are kept; None keeps none."
    at_once: int = AT_ONCE

    def __post_init__(self) -> None:
        if len(set(self.models)) < len(self.models):
            raise Invalid(f"{self._twice}: named twice. Name each model once.")
        if not self.models:
            raise Invalid("No model is named. Name one, or several to compare.")
        if self.num_seeds > 1 and self.settings.temperature == 0:
            raise Invalid(
                f"{self.num_seeds} answers to each question, and at temperature 0 all of them are the same. Give a "
                "temperature above 0."
            )

    @property
    def _twice(self) -> str:
        return next(name for name in self.models if self.models.count(name) > 1)


def compare(
    models: Sequence[str],
    data: Path | str,
    *,
    scores: Sequence[str] = DEFAULT,
    settings: AnswerSettings | None = None,
    num_seeds: int = 1,
    encoder: str | None = None,
    general: Path | str | None = None,
    looks_for_contamination: bool = True,
    address: ApiAddress | None = None,
    kept: Path | None = None,
    progress: Progress = unheard,
) -> ComparisonReport:
    """The report on models that the API has, by the questions of a file.

    `encoder` names the embedding model of `embedding_similarity`, and `general` a file of texts for the forgetting
    check; without it, the starter's held-out texts are taken where a starter is compared. Raises RecordError, Invalid,
    NotFound, Denied, MachineTrouble.
    """
    path, address = Path(data), address or address_of_environment()
    encode = None if encoder is None else api_encoder.encoder(address, encoder)
    plan = ComparisonPlan(
        models=tuple(models),
        questions=questions.read_file(path),
        name=path.name,
        measures=find_measures(scores, ScoreMaterials(encode=encode)),
        settings=settings or AnswerSettings(),
        num_seeds=num_seeds,
        general=_general(models, general),
        looks_for_contamination=looks_for_contamination,
        kept=settings_of.read().home / FOLDER if kept is None else kept,
    )
    return run(plan, address, progress=progress)


def find_measures(spellings: Sequence[str], materials: ScoreMaterials) -> list[Measure | JudgeMeasure]:
    """The measures of these spellings, those by judges too, each once. Raises Invalid."""
    found: dict[str, Measure | JudgeMeasure] = {}
    for spelling in spellings:
        measure = judged.find(spelling) if judged.is_judged(spelling) else measures.find([spelling], materials)[0]
        found.setdefault(measure.name, measure)
    return list(found.values())


def _general(models: Sequence[str], given: Path | str | None) -> GeneralTexts | None:
    if given is not None:
        return general_texts.of_file(Path(given))
    return general_texts.of_starter() if "outcrop.starter-v1" in models and len(models) > 1 else None


def run(plan: ComparisonPlan, address: ApiAddress, *, progress: Progress = unheard) -> ComparisonReport:
    """Ask what was not asked before, and make the report. Raises NotFound, Denied, MachineTrouble."""
    return asyncio.run(_run(plan, address, progress))


async def _run(plan: ComparisonPlan, address: ApiAddress, progress: Progress) -> ComparisonReport:
    api = ApiClient(address=address)
    try:
        opened = [await asking_api.open_model(api, name) for name in plan.models]
        found = await _contamination(plan, api, opened)
        collected, general = [], []
        for model in opened:
            collected.append(await _collected(plan, model, plan.questions, progress))
            if plan.general is not None:
                general.append(await _generally(plan, model, plan.general, progress))
        graded = {
            each.name: await _judged(plan, api, each, collected, progress)
            for each in plan.measures
            if isinstance(each, JudgeMeasure)
        }
    finally:
        await api.aclose()
    (by_bits,) = measures.find([BITS_PER_BYTE])
    assert isinstance(by_bits, LikelihoodMeasure), "it is asked of likelihoods"
    return await asyncio.to_thread(  # an encoder asks the API in a loop of its own
        report_of,
        plan.questions,
        collected,
        plan.measures,
        name=plan.name,
        settings=plan.settings,
        num_seeds=plan.num_seeds,
        created=datetime.now(UTC),
        general=None if plan.general is None else (plan.general.name, plan.general.questions, general, by_bits),
        contamination=found,
        judged=graded,
    )


async def _contamination(
    plan: ComparisonPlan, api: ApiClient, opened: Sequence[OpenedModel]
) -> ContaminationReport | None:
    """Before anything is claimed."""
    if not plan.looks_for_contamination:
        return None
    clients = {service: api.client(service) for service in ("bedrock", "s3")}
    customs = {model.name: model.identity.arn for model in opened}
    return await asyncio.to_thread(contamination.check, clients, plan.questions, customs)


async def _collected(
    plan: ComparisonPlan, model: OpenedModel, asked: Sequence[Question], progress: Progress
) -> CollectedAnswers:
    kept = _kept(plan, model.identity)
    try:
        return await collect(
            model,
            asked,
            plan.settings,
            kept=kept,
            generates=any(isinstance(each, TextScore | JudgeMeasure) for each in plan.measures),
            scores=any(isinstance(each, LikelihoodMeasure) for each in plan.measures),
            num_seeds=plan.num_seeds,
            at_once=plan.at_once,
            progress=lambda done, total: progress(model.name, done, total),
        )
    finally:
        if kept is not None:
            kept.close()


async def _generally(
    plan: ComparisonPlan, model: OpenedModel, texts: GeneralTexts, progress: Progress
) -> CollectedAnswers:
    kept = _kept(plan, model.identity)
    try:
        return await collect(
            model,
            texts.questions,
            plan.settings,
            kept=kept,
            generates=False,
            at_once=plan.at_once,
            progress=lambda done, total: progress(f"{model.name}, general texts", done, total),
        )
    finally:
        if kept is not None:
            kept.close()


async def _judged(
    plan: ComparisonPlan,
    api: ApiClient,
    measure: JudgeMeasure,
    collected: Sequence[CollectedAnswers],
    progress: Progress,
) -> JudgedEntries:
    model = await asking_api.open_model(api, measure.model)
    kept = _kept(plan, model.identity)
    progress(f"{measure.name} judges", 0, 1)
    try:
        return await judged.judged(measure, model, plan.questions, collected, kept=kept, at_once=plan.at_once)
    finally:
        progress(f"{measure.name} judges", 1, 1)
        if kept is not None:
            kept.close()


def _kept(plan: ComparisonPlan, identity: ModelIdentity) -> KeptAnswers | None:
    return None if plan.kept is None else KeptAnswers(plan.kept, identity.key)
