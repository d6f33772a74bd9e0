"""`outcrop forget`: a custom model trained again without some of its records, and the old one swapped."""

import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.buckets.names import parse_s3_uri
from outcrop.cli import export
from outcrop.cli.data_files import check_data_file
from outcrop.cli.model_export import find_model
from outcrop.clock import SystemClock
from outcrop.errors import Invalid
from outcrop.forgetting import remains, retraining
from outcrop.forgetting.family import FamilyMember, ModelFamily
from outcrop.forgetting.measuring import measure
from outcrop.forgetting.originals import Originals
from outcrop.forgetting.plan import ForgettingPlan, plan_forgetting
from outcrop.forgetting.plan_text import plan_json, plan_text
from outcrop.forgetting.report import ForgettingReport
from outcrop.forgetting.retraining import JobAgain
from outcrop.forgetting.selection import Selection
from outcrop.forgetting.swapping import swap
from outcrop.house import House
from outcrop.keys.sealed_records import sealed_by
from outcrop.machine import memory_folder
from outcrop.settings import Settings

_PAUSE_S = 0.3
_REPORT = "report.json"
_PHASES = {
    "validationDetails": "validation",
    "dataProcessingDetails": "data processing",
    "trainingDetails": "training",
}


@dataclass(frozen=True, kw_only=True)
class ForgetOptions:
    """The options of the command, as they were given."""

    model: str
    records: Path | None
    line: str | None
    matching: str | None
    like: str | None
    file: str | None
    data: Sequence[Path]
    controls: Path | None
    most: int
    name: str | None
    report: str | None
    region: str | None
    dry_run: bool
    yes: bool
    swap: bool
    as_json: bool


def forget(settings: Settings, asked: ForgetOptions) -> int:
    """Plan, ask, train again, measure, and hand deployments over; 1 when a job did not complete."""
    with _opened(settings, asked) as command:
        if asked.report is not None:
            return command.measure_only(asked.report)
        return command.forget()


@contextmanager
def _opened(settings: Settings, asked: ForgetOptions) -> Iterator["_ForgetCommand"]:
    given = [check_data_file(path) for path in asked.data]
    with House(settings, SystemClock()) as house, ExitStack() as stack:
        model = find_model(house.store, asked.model, asked.region)
        work = stack.enter_context(work_folder(settings, is_sealed=sealed_by(model.document) is not None))
        family = ModelFamily(export.client(settings, "bedrock", model.region), house.models)
        s3 = export.client(settings, "s3", model.region)
        member = family.member(model.arn)
        assert member is not None, "it was found just now"
        originals = Originals(s3, work / "data", given)
        yield _ForgetCommand(asked, house, family, s3, originals, member, work)


@contextmanager
def work_folder(settings: Settings, *, is_sealed: bool) -> Iterator[Path]:
    """A folder for the data in clear, which goes with the block.

    That of a sealed model is in memory. A model whose parent is sealed is sealed itself, so the one that is asked about
    tells it for all that are trained again.
    """
    if not is_sealed:
        with tempfile.TemporaryDirectory(prefix=".forget.", dir=settings.home) as work:
            yield Path(work)
        return
    name = f"forget-{secrets.token_hex(8)}"
    try:
        yield memory_folder.memory_folder(settings.home, name)
    finally:
        memory_folder.remove_memory_folder(settings.home, name)


def check_seals(house: House, models: Iterable[str]) -> None:
    """Raises Invalid where a model that would be trained again is sealed by a key that no request can name."""
    for model_arn in models:
        row = house.store.resources.get(model_arn)
        wrapped = None if row is None else sealed_by(row.document)
        if wrapped is not None and not wrapped.key_arn and not house.settings.seal:
            raise Invalid(
                f"{model_arn} is sealed by the installation's own key, and trained again without --seal it would not "
                "be. Start Outcrop with OUTCROP_SEAL=1, and say the same to this command."
            )


@dataclass
class _ForgetCommand:
    asked: ForgetOptions
    house: House
    family: ModelFamily
    s3: Any
    originals: Originals
    member: FamilyMember
    work: Path

    def forget(self) -> int:
        plan = plan_forgetting(self.family, self.originals, self.member, self._selection())
        if not self.asked.as_json:
            print(plan_text(plan))
        elif self.asked.dry_run:
            print(json.dumps(plan_json(plan), indent=2, ensure_ascii=False))
        if self.asked.dry_run:
            return 0
        check_seals(self.house, [step.member.arn for step in plan.steps if step.done is None])
        if not self._agreed():
            return 0
        successor = self._train(plan)
        if successor is None:
            return 1
        report = self._measured(self.member, successor.member)
        if report is not None:
            self._put(successor, report)
        swapped = self._swapped(plan, successor.member)
        left = remains.lines(plan, successor.member, self.family, self.house.store)
        if self.asked.as_json:
            told = {"plan": plan_json(plan), "report": _json(report), "swapped": swapped, "remaining": left}
            print(json.dumps(told, indent=2, ensure_ascii=False))
        else:
            print("\n".join(["", _text(report), "", *self._deployments(plan, swapped, successor.member)]))
            print("\n".join(["Who still knows them:", *(f"  {line}" for line in left)]))
        return 0

    def measure_only(self, successor: str) -> int:
        """Print the report on a forgetting that is done."""
        after = self._named(successor, "--report")
        report = self._measured(self.member, after)
        print(json.dumps(_json(report), indent=2, ensure_ascii=False) if self.asked.as_json else _text(report))
        return 0

    def _selection(self) -> Selection:
        asked = self.asked
        return Selection(
            records=None if asked.records is None else check_data_file(asked.records),
            lines=lines_of(asked.line),
            matching=asked.matching,
            like=frozenset() if asked.like is None else self._forgotten_by(asked.like),
            file=asked.file,
        )

    def _forgotten_by(self, name: str) -> frozenset[bytes]:
        after = self._named(name, "--like")
        forgets = self.family.forgets(after)
        before = None if forgets is None else self.family.member(forgets)
        if before is None or before.lineage is None or after.lineage is None:
            raise Invalid(f"--like: {name} is no model that has forgotten anything of another one that is still there.")
        left = {known.digest for known in after.lineage.records()}
        return frozenset(known.digest for known in before.lineage.records() if known.digest not in left)

    def _named(self, name: str, option: str) -> FamilyMember:
        found = self.family.member(name)
        if found is None or found.lineage is None:
            raise Invalid(f"{option}: {name}: there is no such custom model that a job has trained.")
        return found

    def _agreed(self) -> bool:
        if self.asked.yes:
            return True
        if self.asked.as_json or not sys.stdin.isatty():
            raise Invalid("Nothing was begun. Say --yes to go on without being asked, or --dry-run for the plan alone.")
        agreed = input("Go on? [y/N] ").strip().lower() in ("y", "yes")
        if not agreed:
            print("Nothing was done.")
        return agreed

    def _train(self, plan: ForgettingPlan) -> "_Successor | None":
        """The model that the last job left; None when a job did not complete."""
        start_arn, successor = plan.steps[0].member.start_arn, None
        for step in plan.steps:
            if step.done is not None:
                start_arn = step.done.arn
                continue
            is_last = step is plan.steps[-1]
            job = retraining.start(
                self.family,
                self.s3,
                step,
                plan.digests,
                start_arn=start_arn,
                name=self.asked.name if is_last else None,
                work=self.work / "left",
            )
            model_arn = self._wait(job)
            if model_arn is None:
                return None
            made = self.family.member(model_arn)
            assert made is not None, "the job completed"
            start_arn, successor = model_arn, _Successor(made, job)
        assert successor is not None, "the last step is never done before"
        return successor

    def _wait(self, job: JobAgain) -> str | None:
        said = ""
        while True:
            told = self.family.bedrock.get_model_customization_job(jobIdentifier=job.arn)
            now = _phase(told)
            if now != said:
                self._say(f"{told['jobName']}: {now}")
                said = now
            if told["status"] not in ("InProgress", "Stopping"):
                break
            time.sleep(_PAUSE_S)
        if told["status"] == "Completed":
            return str(told["outputModelArn"])
        self._say(told.get("failureMessage", "The job was stopped; nothing else was begun."))
        return None

    def _measured(self, before: FamilyMember, after: FamilyMember) -> ForgettingReport | None:
        self._say("measuring the loss before and after")
        controls = None if self.asked.controls is None else check_data_file(self.asked.controls)
        return measure(self.house, self.family, self.originals, before, after, controls=controls, most=self.asked.most)

    def _put(self, successor: "_Successor", report: ForgettingReport) -> None:
        bucket, key = parse_s3_uri(f"{successor.job.folder}/{_REPORT}")
        sealed = retraining.put_encryption(retraining.kms_key_of(successor.member))
        body = json.dumps(report.to_json(), indent=2, ensure_ascii=False).encode()
        self.s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", **sealed)

    def _swapped(self, plan: ForgettingPlan, successor: FamilyMember) -> list[str]:
        if not self.asked.swap:
            return []
        for deployment in plan.serving:
            swap(self.family, deployment, successor.arn)
        return [deployment.name for deployment in plan.serving]

    def _deployments(self, plan: ForgettingPlan, swapped: Sequence[str], successor: FamilyMember) -> Iterator[str]:
        for deployment in plan.serving:
            done = deployment.name in swapped
            yield f"{deployment.name} serves {successor.name if done else plan.member.name} now."
        if plan.serving and not swapped:
            yield "--swap would have handed them over; UpdateCustomModelDeployment does it now."

    def _say(self, sentence: str) -> None:
        print(sentence, file=sys.stderr if self.asked.as_json else sys.stdout, flush=True)


def _json(report: ForgettingReport | None) -> dict[str, Any] | None:
    return None if report is None else report.to_json()


def _text(report: ForgettingReport | None) -> str:
    if report is None:
        return "No record that was trained on went, only such as were validated on: there is no loss to measure."
    return report.to_text()


@dataclass(frozen=True)
class _Successor:
    member: FamilyMember
    job: JobAgain


def lines_of(text: str | None) -> tuple[int, ...]:
    """The numbers in `12,40-44`. Raises Invalid."""
    found: list[int] = []
    for part in filter(None, (text or "").replace(" ", "").split(",")):
        first, dash, last = part.partition("-")
        if not (first.isdecimal() and (last.isdecimal() or not dash)):
            raise Invalid(f"--line: {part!r} is no line. Write numbers with commas between them, such as 12,40-44.")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _phase(told: dict[str, Any]) -> str:
    if told["status"] != "InProgress":
        return str(told["status"])
    details = told.get("statusDetails", {})
    names = {
        "validationDetails": "validation",
        "dataProcessingDetails": "data processing",
        "trainingDetails": "training",
    }
    running = [name for phase, name in names.items() if details.get(phase, {}).get("status") == "InProgress"]
    return running[-1] if running else "waiting"
