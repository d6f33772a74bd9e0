"""Amounts as people read them: durations, sizes, ages. Pure functions; words come from the language's table."""

from datetime import datetime

from outcrop.console.language import said

_STEPS = (("d", 86_400), ("h", 3600), ("min", 60))


def duration(seconds: float, language: str) -> str:
    """A duration in its largest unit that fits: `45 s`, `3 min`, `2.5 h`."""
    for unit, length in _STEPS:
        if seconds >= length:
            value = seconds / length
            return said(
                language, f"amount.{unit}", n=f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}"
            )
    return said(language, "amount.s", n=f"{seconds:.0f}")


def age(moment: datetime | None, now: datetime, language: str) -> str:
    """How long ago a moment was; nothing where there is none."""
    if moment is None:
        return ""
    seconds = (now - moment).total_seconds()
    if seconds < 5:
        return said(language, "amount.now")
    return said(language, "amount.ago", n=duration(seconds, language))


def moment_text(iso: str) -> str:
    """A moment of the API's clock, which is that of Greenwich, to the second: `2026-12-01 10:02:59 UTC`."""
    return f"{iso[:19].replace('T', ' ')} UTC" if iso else ""


def size(num_bytes: float) -> str:
    """A size in its unit, as files are told: `1.5 MB`."""
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= length:
            return f"{num_bytes / length:.1f} {unit}"
    return f"{num_bytes:.0f} B"


def short_name(arn: str) -> str:
    """The last part of an ARN, or of anything else."""
    return arn.rsplit("/", 1)[-1] if arn.startswith("arn:") else arn


def model_id(arn: str) -> str:
    """The id of a foundation model without its context form: `outcrop.starter-v1` of `…/outcrop.starter-v1:0:2k`."""
    return short_name(arn).split(":")[0]


def base_id(arn: str) -> str:
    """The id of the foundation model that a custom model's ARN names; of a foundation model its own."""
    _, is_custom, below = arn.partition(":custom-model/")
    return below.split("/")[0].split(":")[0] if is_custom else model_id(arn)
