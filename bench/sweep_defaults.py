"""`make sweep-defaults`: what a first user should take, by data size: rate, epochs, rank and warmup of LoRA.

    outcrop run -- python -m bench.sweep_defaults DATA_FOLDER                  # the starter, all tasks and sizes
    outcrop run -- python -m bench.sweep_defaults DATA_FOLDER --base huggingface.smollm2-q4-v1 --sizes 32
    python -m bench.sweep_defaults DATA_FOLDER --page                          # only the page, of what was measured

One customization job that searches for each task and size (`outcrop.search`): its trials learn side by side from one
base. The first has the job's defaults. The others are the same random points for every task and size, so that a point
can be held against all tasks. Regret is what the defaults lose to the best point, on validation records; those also
chose it, so it is the most that a search would have gained. A search that was made is found again by its name.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.marked import replaced
from bench.measuring import RESULTS, ROOT, machine
from bench.tasks import Choice, prepare
from outcrop import settings as settings_of
from outcrop.buckets.names import parse_s3_uri
from outcrop.catalog.catalog import Catalog
from outcrop.cli.knowledge_files import make_bucket
from outcrop.customization.output.artifacts import STUDY, uri_of
from outcrop.evaluation.api_client import ApiClient, address_of_environment
from outcrop.evaluation.bakeoff.customizing import BakeoffClients, JobRunner
from outcrop.evaluation.bakeoff.sharing import SharedJob, digests
from outcrop.evaluation.studies.gain import gain_of

WORK = ROOT / "build" / "sweep-defaults"
PAGE = ROOT / "docs" / "defaults.md"
COMMAND = "make sweep-defaults"
STARTER = "outcrop.starter-v1"
TASKS = ("waka", "mts-dialog", "jsquad")
SIZES = (32, 128, 512)
VALIDATION, LONGEST = 24, 100
SEED = 0
_BUCKET = "sweep-defaults"
_SHORT = {
    "outcrop.learningRate": "rate",
    "outcrop.rank": "rank",
    "epochCount": "epochs",
    "learningRateWarmupSteps": "warmup",
}
_HEAD = """## By data size

What a first user should take, by `make sweep-defaults OUTCROP_TEST_DATA=…`, which writes this part of the page. One
job that searches for each task and number of training records; its trials are LoRA on one frozen base. The first has
the job's defaults, the others are random points, the same for every task and size: rate from a quarter to eight times
the recommended one, rank 4 to 32, 1 to 6 epochs, warmup of 0 or 10 steps, batches of 8. A figure is the lowest
validation loss of a trial, in nats per token. *Regret* is what the defaults lose to the best point of the row. The
records that tell it also chose it, so it is the most that a search would have gained; beside it stands the 95 %
interval over the records (paired bootstrap)."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_options(arguments)
    if not options.page:
        search(options)
    write_page()


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Search what a first user should take, and write docs/defaults.md.")
    parser.add_argument("data", type=Path, help="folder with waka-hachidaishu, mts-dialog and jsquad")
    parser.add_argument("--base", default=STARTER, help="base model id; register a GGUF with `outcrop register`")
    parser.add_argument("--tasks", type=lambda told: told.split(","), default=list(TASKS))
    parser.add_argument("--sizes", type=lambda told: [int(each) for each in told.split(",")], default=list(SIZES))
    parser.add_argument("--trials", type=int, default=12, help="of each search, the defaults among them")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser.parse_args(arguments)


def search(options: argparse.Namespace) -> None:
    """Make the searches that were not made, the small ones first, and keep what each has found."""
    if "AWS_ENDPOINT_URL" not in os.environ:
        sys.exit("Run it inside an installation: outcrop run -- python -m bench.sweep_defaults DATA_FOLDER")
    api = ApiClient(address=address_of_environment())
    clients = BakeoffClients(s3=api.client("s3"), bedrock=api.client("bedrock"))
    make_bucket(clients.s3, _BUCKET, clients.s3.meta.region_name)
    runner = JobRunner(
        clients=clients,
        bucket=_BUCKET,
        role=os.environ["OUTCROP_ROLE_ARN"],
        tell=lambda line: print(line, flush=True),
    )
    for size in sorted(options.sizes):
        for task in options.tasks:
            job = search_job(options.data, task, size, base=options.base, trials=options.trials)
            found = runner.model_of(job, None)
            ended = clients.bedrock.get_model_customization_job(jobIdentifier=found.job_arn)
            keep(options.base, task, size, study_of(clients.s3, ended), seconds=found.need.seconds)
            write_page()


def search_job(data: Path, task: str, size: int, *, base: str, trials: int) -> SharedJob:
    """The job of a task and size, named by all that decides what it finds."""
    choice = Choice(train=size, validation=VALIDATION, longest=LONGEST)
    records = prepare(data, WORK / f"{task}-{size}", {task: choice})[task]
    rate = Catalog(settings_of.read().home).usable(base).learning_rate
    if rate is None:
        sys.exit(f"{base}: it has no recommended learning rate. Register it again, which finds one.")
    hyper = {
        "outcrop.search": f"outcrop.learningRate={rate / 4:g}..{rate * 8:g} log; outcrop.rank=4..32 log; "
        "epochCount=1..6; learningRateWarmupSteps=0|10",
        "outcrop.sampler": "random",
        "outcrop.pruner": "none",
        "outcrop.trials": str(trials),
        "outcrop.seed": str(SEED),
        "outcrop.evaluationsPerEpoch": "1",
        "batchSize": "8",
    }
    digest = digests()
    return SharedJob(
        model=base,
        parent=None,
        type="FINE_TUNING",
        training=records.train,
        training_digest=digest(records.train),
        validation=records.validation,
        validation_digest=digest(records.validation),
        hyperparameters=tuple(sorted(hyper.items())),
    )


def study_of(s3: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """The study that a job has left in its output."""
    uri = uri_of(STUDY, output_uri=job["outputDataConfig"]["s3Uri"], job_arn=job["jobArn"])
    bucket, key = parse_s3_uri(uri)
    found: dict[str, Any] = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    return found


def keep(base: str, task: str, size: int, study: Mapping[str, Any], *, seconds: float) -> None:
    """Write what a search has found; its trials, without the losses of single records."""
    trials = [
        {name: trial[name] for name in ("number", "values", "end", "loss", "steps", "best_step")}
        for trial in study["trials"]
    ]
    told = {
        "base": base, "task": task, "size": size, "date": time.strftime("%Y-%m-%d"), "machine": machine(),
        "seconds": round(seconds, 1), "best": study["best"], "trials": trials, "gain": gain_of(study),
        "side_by_side": study["one_after_the_other_because"] is None,
    }  # fmt: skip
    place = RESULTS / "sweep-defaults"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{base}-{task}-{size}.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")


def write_page() -> None:
    found = [json.loads(file.read_text("utf-8")) for file in sorted((RESULTS / "sweep-defaults").glob("*.json"))]
    PAGE.write_text(replaced(PAGE.read_text("utf-8"), COMMAND, section(found)), "utf-8")


def section(found: Sequence[Mapping[str, Any]]) -> str:
    """The tables of every base, with the searches that were not made."""
    lines = [_HEAD]
    for base in dict.fromkeys([STARTER, *(each["base"] for each in found)]):
        ours = {(each["task"], each["size"]): each for each in found if each["base"] == base}
        sizes = sorted({size for _, size in ours} | (set(SIZES) if base == STARTER else set()))
        lines += ["", f"### {base}", ""]
        made = {size: [ours[task, size] for task in TASKS if (task, size) in ours] for size in sizes}
        if any(made.values()):
            lines += ["| records | task | defaults | best found | regret | with |", "|---|---|---|---|---|---|"]
            lines += [_row(each) for size in sizes for each in made[size]]
            sentences = [sentence for size in sizes if (sentence := _best_for_all(size, made[size]))]
            lines += ["", *sentences] if sentences else []
            dates = sorted({f"{each['date']}, {each['machine']}" for each in ours.values()})
            minutes = sum(each["seconds"] for each in ours.values()) / 60
            lines += ["", f"{'; '.join(dates)}, seed {SEED}: {minutes:.0f} minutes of jobs beside other work."]
        missing = [f"{task} with {size}" for size in sizes for task in TASKS if (task, size) not in ours]
        if missing:
            lines += ["", f"**Not searched yet**: {', '.join(missing)} records."]
    return "\n".join(lines)


def _row(each: Mapping[str, Any]) -> str:
    trials = each["trials"]
    best = trials[each["best"]]
    regret, interval = trials[0]["loss"] - best["loss"], each["gain"].get("interval")
    told = "0" if best["number"] == 0 else f"{regret:.3f}"
    if interval:
        told += f" ({-interval[1]:.3f} to {-interval[0]:.3f})"
    start = f"{trials[0]['loss']:.3f}"
    return f"| {each['size']} | {each['task']} | {start} | {best['loss']:.3f} | {told} | {_values(best['values'])} |"


def _best_for_all(size: int, searches: Sequence[Mapping[str, Any]]) -> str:
    """The point with the least mean regret over the tasks, and that of the defaults; empty for a single task."""
    if len(searches) < 2:
        return ""
    regrets = mean_regrets([{trial["number"]: trial["loss"] for trial in each["trials"]} for each in searches])
    best = min(regrets, key=lambda number: regrets[number])
    values = _values(searches[0]["trials"][best]["values"])
    tasks = ", ".join(each["task"] for each in searches)
    told = f"* **{size} records** ({tasks}): the defaults lose {regrets[0]:.3f} on the mean"
    if best == 0:
        return f"{told}, and no other point loses less."
    return f"{told}; the point that suits all best loses {regrets[best]:.3f}: {values}."


def mean_regrets(losses: Sequence[Mapping[int, float | None]]) -> dict[int, float]:
    """By trial: its loss above the lowest of each task, on the mean; trials that have a loss on every task."""
    lowest = [min(loss for loss in task.values() if loss is not None) for task in losses]
    whole = [number for number in losses[0] if all(task.get(number) is not None for task in losses)]
    return {
        number: statistics.mean((task[number] or 0.0) - least for task, least in zip(losses, lowest, strict=True))
        for number in whole
    }


def _values(values: Mapping[str, str]) -> str:
    if not values:
        return "the defaults"
    return ", ".join(f"{name} {float(values[long]):.2g}" for long, name in _SHORT.items() if long in values)


if __name__ == "__main__":
    main()
