"""The decision guide: what it asks, what it advises, and that its plans are plans."""

import tomllib
from pathlib import Path

import pytest

from outcrop.cli.advise import advise
from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.plan_reading import read_plan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions.jsonl").write_text('{"prompt": "Who?", "referenceResponse": "She."}\n')
    (tmp_path / "train.jsonl").write_text(
        "".join(f'{{"prompt": "Question {n}?", "completion": "{n}."}}\n' for n in range(60))
    )
    (tmp_path / "texts.jsonl").write_text('{"input": "A text."}\n')
    (tmp_path / "rules.md").write_text("A rule.")
    return tmp_path


@pytest.mark.parametrize(
    ("outside", "style", "terms", "axes"),
    [
        ("none", "no", "no", {"prompt": ["zero-shot"]}),
        ("live", "no", "no", {"prompt": ["zero-shot"]}),
        ("documents", "no", "no", {"prompt": ["zero-shot"], "retrieval": ["none", "documents"]}),
        ("none", "yes", "no", {"prompt": ["zero-shot", "few-shot"], "customization": ["none", "ft"]}),
        ("none", "no", "yes", {"prompt": ["zero-shot"], "customization": ["none", "cpt"]}),
        (
            "documents", "yes", "yes",
            {
                "prompt": ["zero-shot", "few-shot"],
                "retrieval": ["none", "documents"],
                "customization": ["none", "ft", "cpt", "cpt-ft"],
            },
        ),
    ],
)  # fmt: skip
def test_the_guide_leads_from_needs_to_approaches(
    folder: Path, outside: str, style: str, terms: str, axes: dict[str, list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    plan = folder / "plan.toml"
    advise(
        plan,
        questions=folder / "questions.jsonl",
        outside=outside,  # type: ignore[arg-type]
        style=style,  # type: ignore[arg-type]
        terms=terms,  # type: ignore[arg-type]
        training=folder / "train.jsonl" if style == "yes" else None,
        texts=folder / "texts.jsonl" if terms == "yes" else None,
        documents=[folder / "rules.md"] if outside == "documents" else None,
    )
    told = tomllib.loads(plan.read_text())
    assert {axis: list(told[axis]) for axis in ("prompt", "retrieval", "customization") if axis in told} == axes
    assert read_plan(plan).questions == folder / "questions.jsonl"
    said = capsys.readouterr().out
    assert ("agent with tools" in said) == (outside == "live")
    assert ("60 here" in said) == (style == "yes")


def test_where_nobody_can_be_asked_everything_missing_is_named(folder: Path) -> None:
    with pytest.raises(Invalid, match=r"Give --outside, --style, --terms, --questions."):
        advise(folder / "plan.toml")
    with pytest.raises(Invalid, match=r"Give --documents, --training."):
        advise(
            folder / "plan.toml", questions=folder / "questions.jsonl", outside="documents", style="yes", terms="no"
        )  # fmt: skip


def test_a_plan_that_is_there_is_not_written_over(folder: Path) -> None:
    (folder / "plan.toml").write_text("")
    with pytest.raises(Invalid, match="is there already"):
        advise(folder / "plan.toml", questions=folder / "questions.jsonl", outside="none", style="no", terms="no")
