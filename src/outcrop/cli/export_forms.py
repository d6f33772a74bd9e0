"""The forms of an export, and the numbers by which it differs from what is served."""

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.custom_models import format_of
from outcrop.errors import Invalid
from outcrop.network.gguf.exporting import GgufForm
from outcrop.network.run_mode import RunMode
from outcrop.probe import launch
from outcrop.store.resources import Resource

PARITY = "parity.json"


class ExportForm(StrEnum):
    """The form in which a custom model is written for other programs."""

    ADAPTER = "adapter"
    "In PEFT's layout, upon its base."
    MERGED = "merged"
    "A whole network as a Hugging Face directory."
    GGUF = "gguf"
    "A whole network as one file for llama.cpp."


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The form of an export: None is the model's own, and nothing is compared."""

    form: ExportForm | None = None
    merged: bool = False
    "The older way to ask for a merged one, which compares nothing."
    precision: GgufForm = GgufForm.F16
    "Of the weights in a GGUF file."

    @property
    def is_whole(self) -> bool:
        return self.merged or self.form in (ExportForm.MERGED, ExportForm.GGUF)


def export_options(
    place: str | None, out: str | None, *, form: str | None, precision: str, merged: bool
) -> tuple[str, ExportOptions]:
    """The place and the form that a command line asks for. Raises Invalid for options that contradict each other."""
    where = place or out
    if where is None or (place is not None and out is not None):
        raise Invalid("export: name one place, as PLACE or with --out: a new folder, or s3://bucket/prefix.")
    if merged and form not in (None, ExportForm.MERGED):
        raise Invalid(f"--merged: --as {form} asks for something else. Leave one of them out.")
    if precision != GgufForm.F16 and form != ExportForm.GGUF:
        raise Invalid(f"--precision {precision}: only GGUF files are written in it. Add --as gguf, or leave it out.")
    asked = None if form is None else ExportForm(form)
    return where, ExportOptions(form=asked, merged=merged, precision=GgufForm(precision))


def write_parity(
    exported: Path, model: Resource, base: BaseModel, folder: Path, adapter: Path | None, options: ExportOptions
) -> str:
    """Compare what was exported with what is served, write the numbers beside it, and return them in a sentence.

    Raises Invalid, MachineTrouble.
    """
    assert base.folder is not None
    way = base.way or RunMode.PACKED
    arguments = ["outcrop.probe.comparison", str(base.folder), str(exported), "--way", way.value]
    arguments += ["--context", str(base.context_length), "--format", format_of(model).value, "--expected", str(folder)]
    arguments += ["--adapter", str(adapter)] if adapter is not None else []
    found: dict[str, Any] = json.loads(
        launch.answer_of(arguments, base.folder, what="comparing the export with what is served", networks=2)
    )
    assert options.form is not None
    about = {"as": options.form.value, "model": model.arn}
    about |= {"precision": options.precision.value} if options.form is ExportForm.GGUF else {}
    place = exported.parent if exported.is_file() else exported
    (place / PARITY).write_text(json.dumps(about | found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return _told(found)


def _told(found: dict[str, Any]) -> str:
    differing = found["first_differing_token"]
    told = (
        f"Its logits differ from what is served by at most {found['largest_logit_difference']:.2g} (of "
        f"{found['largest_logit']:.3g}), by {found['mean_logit_difference']:.2g} in the mean, over "
        f"{found['num_tokens']:,} tokens; "
    )
    if differing is None:
        return told + f"all {found['generated']} greedy tokens are the same."
    return told + (
        f"greedy token {differing['place']} of answer {differing['prompt']} is {differing['exported']!r} instead of "
        f"{differing['served']!r}, which led by {differing['lead_of_served']:.2g}."
    )
