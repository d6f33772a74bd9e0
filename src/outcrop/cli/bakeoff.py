"""`outcrop bakeoff`: a plan carried out, and its cells as a table, as JSON and as a page."""

import asyncio
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from outcrop.cli import tables
from outcrop.cli.compare import api_address, progress_bar
from outcrop.cli.data_check import write_page
from outcrop.cli.export import client, installation
from outcrop.cli.knowledge_adding import AddOptions, add_sources, is_failed
from outcrop.cli.knowledge_bases import find_knowledge_base
from outcrop.cli.knowledge_files import make_bucket
from outcrop.cli.options import AsJson, Home, running
from outcrop.customization import prices
from outcrop.errors import Conflict, Invalid
from outcrop.evaluation import comparison, measures
from outcrop.evaluation.api_client import ApiClient
from outcrop.evaluation.bakeoff.customizing import BakeoffClients, JobRunner
from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, Judging
from outcrop.evaluation.bakeoff.outcome import CellOutcome
from outcrop.evaluation.bakeoff.page import ShownQuestion, bakeoff_page
from outcrop.evaluation.bakeoff.plan import BakeoffCell, BakeoffPlan, RetrievalApproach
from outcrop.evaluation.bakeoff.plan_reading import read_plan
from outcrop.evaluation.bakeoff.run import BakeoffRun, read_questions
from outcrop.evaluation.bakeoff.sharing import PREFIX, digests, documents_digest, job_of, jobs_of
from outcrop.evaluation.bakeoff.table import bakeoff_text
from outcrop.evaluation.report.value import ContaminationReport
from outcrop.settings import DEFAULT_REGION, Settings


@dataclass(frozen=True, kw_only=True)
class BakeoffOptions:
    """The options of `outcrop bakeoff`, as the command was given them."""

    plan: Path
    cells: Sequence[str]
    html: Path | None
    region: str
    as_json: bool


def bakeoff(
    plan: Annotated[Path, Parameter(help="A TOML file; docs/bakeoff.md tells what it may say.")],
    *,
    cell: Annotated[
        list[str] | None, Parameter(help="PROMPT/RETRIEVAL/CUSTOMIZATION/MODEL: this one alone; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Show cells and jobs, and do nothing.")] = False,
    html: Annotated[Path | None, Parameter(help="Write the result as a page to this file, too.")] = None,
    region: Annotated[str, Parameter(help="Where jobs run and knowledge bases are.")] = DEFAULT_REGION,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Measure every combination of prompts, retrieval, customization and models in PLAN on the same questions.

    Jobs that several combinations share run once. What was done before is found again, so that a run which was stopped
    goes on. The exit code is 1 where a combination failed.
    """
    read = read_plan(plan)
    options = BakeoffOptions(plan=plan, cells=cell or (), html=html, region=region, as_json=as_json)
    cells = _cells(read, options.cells)
    if dry_run:
        return _print_plan(read, cells, as_json=as_json)
    return _carry_out(running(home), read, cells, options)


def _carry_out(settings: Settings, plan: BakeoffPlan, cells: Sequence[BakeoffCell], options: BakeoffOptions) -> int:
    outcomes, held_out = asyncio.run(_outcomes(settings, plan, cells, options))
    judging = Judging(
        measures=tuple(measures.find(plan.scores)),
        horizon=plan.horizon,
        cost=plan.cost,
        prices=plan.prices or settings.home / prices.FILE,
        seed=plan.seed,
    )
    judged = judging.judge(outcomes, title=plan.name, held_out=held_out)
    if options.html is not None:
        asked = [ShownQuestion(each.prompt, each.reference or "") for each in read_questions(plan)]
        write_page(options.html, bakeoff_page(judged, asked))
    print(_as_json(judged) if options.as_json else bakeoff_text(judged, width=tables.width()))
    return int(bool(judged.failed))


async def _outcomes(
    settings: Settings, plan: BakeoffPlan, cells: Sequence[BakeoffCell], options: BakeoffOptions
) -> tuple[list[CellOutcome], ContaminationReport | None]:
    made = installation(settings)
    tell = _teller(quiet=options.as_json)
    api = ApiClient(address=api_address(settings, options.region))
    clients = BakeoffClients(s3=api.client("s3"), bedrock=api.client("bedrock"))
    bucket = f"{PREFIX}-{made.account}-{options.region}"
    make_bucket(clients.s3, bucket, options.region)
    async with aclosing(api):
        with progress_bar(quiet=options.as_json) as progress:
            run = BakeoffRun(
                plan=plan,
                place=options.plan,
                measures=measures.find(plan.scores),
                api=api,
                jobs=JobRunner(clients=clients, bucket=bucket, role=made.service_role_arn, tell=tell),
                knowledge_of=lambda approach: _knowledge_base(settings, approach, options, tell),
                kept=settings.home / comparison.FOLDER,
                tell=tell,
                progress=progress,
            )
            return await run.outcomes(cells), run.held_out


def _knowledge_base(
    settings: Settings, approach: RetrievalApproach, options: BakeoffOptions, tell: Callable[[str], None]
) -> str:
    """The knowledge base of an approach; one made from documents is named by a digest of them."""
    if approach.knowledge_base is not None:
        agents = {options.region: client(settings, "bedrock-agent", options.region)}
        return find_knowledge_base(agents, approach.knowledge_base).id
    name = f"{PREFIX}-{documents_digest(approach)[:20]}"
    added = add_sources(
        settings,
        [str(each) for each in approach.documents],
        AddOptions(
            name=name,
            encoder=approach.encoder,
            chunk_tokens=approach.chunk_tokens,
            region=options.region,
            is_same_cut=True,
        ),
        # It tells its steps where the result goes; a file or a pipe is to get the result alone.
        quiet=options.as_json or not sys.stdout.isatty(),
    )
    if any(is_failed(job) for job in added.jobs):
        raise Conflict(f"retrieval.{approach.name}: documents failed. See: outcrop knowledge status {name}")
    tell(f"retrieval {approach.name}: knowledge base {name}")
    return added.base.id


def _cells(plan: BakeoffPlan, asked: Sequence[str]) -> list[BakeoffCell]:
    """The cells of the plan, or those that were asked for. Raises Invalid for one that is not in it."""
    every = {cell.name: cell for cell in plan.cells()}
    unknown = [name for name in asked if name not in every]
    if unknown:
        names = "\n".join(f"  {name}" for name in every)
        raise Invalid(f"--cell {unknown[0]}: no such cell in the plan. There are:\n{names}")
    return [every[name] for name in dict.fromkeys(asked)] if asked else list(every.values())


def _print_plan(plan: BakeoffPlan, cells: Sequence[BakeoffCell], *, as_json: bool) -> int:
    """Cells with the jobs they need; a job that several share has one name."""
    digest = digests()
    num_questions = len(read_questions(plan))
    jobs = jobs_of(plan, cells, digest)
    rows = [[cell.name, job.name if (job := job_of(plan, cell, digest)) is not None else ""] for cell in cells]
    tables.print_rows(["cell", "job"], rows, as_json=as_json)
    if not as_json:
        print(f"\n{len(cells)} cells, {num_questions} questions each, {len(jobs)} jobs. Nothing was done.")
    return 0


def _teller(*, quiet: bool) -> Callable[[str], None]:
    """Tells what is done on stderr, so that the result alone can be piped."""
    return (lambda _line: None) if quiet else lambda line: print(line, file=sys.stderr, flush=True)


def _as_json(judged: JudgedBakeoff) -> str:
    return json.dumps(judged.to_json(), indent=2, ensure_ascii=False)
