"""`make results`: the gain of a custom model over its base on every task of the articles, into docs/results.md.

    outcrop run -- python -m bench.results DATA_FOLDER                      # all parts, the quick ones first
    outcrop run -- python -m bench.results DATA_FOLDER --parts renga,book   # these
    python -m bench.results DATA_FOLDER --page                              # only the page, of what was measured

Everything goes through the API: jobs by CreateModelCustomizationJob, answers and likelihoods by `outcrop compare`. A
part's result stands in bench/results/result-PART.json under a key of its code, data and settings; the same key is not
measured again. Killed, it goes on: ended jobs are found by name, one under way is waited for, and what was answered is
not asked again.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from bench.marked import replaced
from bench.measuring import RESULTS, ROOT, machine
from bench.result_page import COMMAND, section
from bench.result_parts import PARTS, SEED, PartJob, ResultPart, chosen
from outcrop.cli.knowledge_files import make_bucket
from outcrop.evaluation.answers import AnswerSettings
from outcrop.evaluation.api_client import ApiClient, address_of_environment
from outcrop.evaluation.bakeoff.customizing import BakeoffClients, JobRunner, TrainedModel
from outcrop.evaluation.bakeoff.sharing import Digest, SharedJob, digests
from outcrop.evaluation.comparison import compare
from outcrop.evaluation.report import as_json, as_text

WORK = ROOT / "build" / "results"
PAGE = ROOT / "docs" / "results.md"
BASE = "outcrop.starter-v1"
ROOMS = (
    "training", "network", "inference", "tokens", "datasets", "recipes", "customization/choices", "evaluation/scores",
    "evaluation/statistics",
)  # fmt: skip
"The rooms whose code decides the figures."
Train = Callable[[SharedJob, TrainedModel | None], TrainedModel]


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(arguments)
    if not options.page:
        train = trainer()
        for part in chosen(options.parts):
            measure(part, options.data, train, again=options.again)
            write_page()
    write_page()


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the articles' tasks, and write docs/results.md.")
    parser.add_argument("data", type=Path, help="folder of the test data")
    parser.add_argument("--parts", type=lambda told: told.split(","), default=[], help="names, parted by commas")
    parser.add_argument("--again", action="store_true", help="measure also what was measured by the same code and data")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser.parse_args(arguments)


def measure(part: ResultPart, data: Path, train: Train, *, again: bool) -> None:
    """Measure a part, where its data is there and nothing with its key was measured before."""
    if part.data and not (data / part.data).is_dir():
        print(f"{part.name}: not run, {data / part.data} is not there.", flush=True)
        return
    folder = WORK / part.name
    folder.mkdir(parents=True, exist_ok=True)
    files, digest = part.prepare(data, folder), digests()
    jobs = shared_jobs(files.jobs, digest)
    key = key_of(part, jobs, digest(files.questions))
    if not again and (kept := result_of(part)) is not None and kept["key"] == key:
        print(f"{part.name}: measured on {kept['date']} by the same code, data and settings.", flush=True)
        return
    began, model = time.monotonic(), None
    told: list[dict[str, Any]] = []
    goes_on = False
    for job in jobs:
        before = 0.0 if model is None else model.need.seconds
        model = train(job, model)
        told.append(
            {"type": job.type, "records": _lines(job.training), "seconds": round(model.need.seconds - before, 1)}
        )
        goes_on = goes_on or model.was_found
    assert model is not None, "a part has a job"
    report = compare(
        [BASE, model.model_arn],
        files.questions,
        scores=part.scores,
        settings=AnswerSettings(max_tokens=part.max_tokens, seed=SEED),
        kept=WORK / "answers" / code_digest()[:20],
    )
    print(as_text.of_report(report), flush=True)
    # Of a run that goes on, the time tells of its end alone.
    keep(part, key, told, as_json.of_report(report), seconds=None if goes_on else round(time.monotonic() - began, 1))


def shared_jobs(jobs: Sequence[PartJob], digest: Digest) -> list[SharedJob]:
    """The jobs of a part, each named by all that decides its model."""
    found: list[SharedJob] = []
    for job in jobs:
        found.append(
            SharedJob(
                model=BASE,
                parent=found[-1] if found else None,
                type=job.type,
                training=job.training,
                # Code is a part of what decides the model: a job of other code is another job.
                training_digest=hashlib.sha256(f"{digest(job.training)} {code_digest()}".encode()).hexdigest(),
                validation=job.validation,
                validation_digest=None if job.validation is None else digest(job.validation),
                hyperparameters=tuple(sorted({"outcrop.seed": str(SEED), **job.hyper}.items())),
            )
        )
    return found


def key_of(part: ResultPart, jobs: Sequence[SharedJob], questions: str) -> str:
    """Equal for runs that would come to the same figures."""
    decides = [code_digest(), [job.digest for job in jobs], questions, [_of_place(s) for s in part.scores]]
    return hashlib.sha256(json.dumps([*decides, part.max_tokens]).encode()).hexdigest()[:20]


@cache
def code_digest() -> str:
    """The digest of the rooms that decide the figures, and of the measures here."""
    places = [ROOT / "src" / "outcrop" / room for room in ROOMS]
    files = sorted(each for place in places for each in place.rglob("*") if each.suffix in (".py", ".c", ".toml"))
    digest = hashlib.sha256()
    for file in [*files, ROOT / "bench" / "result_measures.py"]:
        digest.update(f"{file.relative_to(ROOT)}\n".encode() + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def keep(
    part: ResultPart, key: str, jobs: Sequence[dict[str, Any]], report: dict[str, Any], *, seconds: float | None
) -> None:
    """Write the part's result; answers record by record stay in the home."""
    report = {name: value for name, value in report.items() if name != "records"}
    report["models"] = [BASE, "custom"]
    result = {
        "key": key, "code": code_digest(), "date": time.strftime("%Y-%m-%d"), "machine": machine(),
        "seconds": seconds, "jobs": jobs, "report": _renamed(report),
    }  # fmt: skip
    place(part).parent.mkdir(parents=True, exist_ok=True)
    place(part).write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")


def result_of(part: ResultPart) -> dict[str, Any] | None:
    """The result that is kept of a part; None for none."""
    if not place(part).is_file():
        return None
    found: dict[str, Any] = json.loads(place(part).read_text("utf-8"))
    return found


def place(part: ResultPart) -> Path:
    return RESULTS / f"result-{part.name}.json"


def write_page() -> None:
    results = {part.name: found for part in PARTS if (found := result_of(part)) is not None}
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), COMMAND, section(PARTS, results, code=code_digest())), "utf-8")


def trainer() -> Train:
    """Jobs through the API that the environment names. Ends the program where none is named."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit("Run it inside an installation: outcrop run -- python -m bench.results DATA_FOLDER")
    api = ApiClient(address=address_of_environment())
    clients = BakeoffClients(s3=api.client("s3"), bedrock=api.client("bedrock"))
    make_bucket(clients.s3, "make-results", clients.s3.meta.region_name)
    runner = JobRunner(
        clients=clients,
        bucket="make-results",
        role=os.environ["OUTCROP_ROLE_ARN"],
        tell=lambda line: print(line, flush=True),
    )
    return runner.model_of


def _renamed(report: dict[str, Any]) -> dict[str, Any]:
    """The report with `custom` for the model's ARN, which is another in every home."""
    arn = next(name for name in report["costs"] if name != BASE)
    renamed: dict[str, Any] = json.loads(json.dumps(report).replace(arn, "custom").replace(str(ROOT), "."))
    return renamed


def _of_place(score: str) -> str:
    return score.replace(str(ROOT), ".")


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(bool(line.strip()) for line in file)


if __name__ == "__main__":
    main()
