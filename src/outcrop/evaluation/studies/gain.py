"""The gain of a search: its best trial against the first, which has the job's hyperparameters without a search."""

from collections.abc import Mapping
from typing import Any

from outcrop.evaluation.statistics.comparing import compare


def gain_of(study: Mapping[str, Any]) -> dict[str, Any]:
    """The gain in loss, record by record, with its interval and a sentence; `study` as study.json has it.

    It is the paired bootstrap of `outcrop compare`, over the records of the job's last validator.
    """
    best, records = study["best"], study["records"]
    if best is None:
        return {"sentence": "No trial completed."}
    if best == 0:
        return {"sentence": "No trial was better than the first, which has the hyperparameters without a search."}
    ours, theirs = records.get(str(best)), records.get("0")
    if ours is None or theirs is None:
        return {"sentence": "What was gained over the first trial has no interval: there are no losses by record."}
    found = compare(
        [nll / tokens for nll, tokens in ours],
        [nll / tokens for nll, tokens in theirs],
        weights=[tokens for _, tokens in ours],
        higher_is_better=False,
        model=f"trial {best}",
        baseline="the first, without a search",
    )
    if found is None:
        return {"sentence": "There is no held-out record to compare on."}
    return {
        "sentence": f"Loss by record: {found.sentence}",
        "difference": found.difference,
        "interval": None if found.interval is None else list(found.interval),
        "significance": found.significance.value,
    }
