"""A bake-off's plan: read whole or refused with every problem; its cells; and the jobs that they share."""

from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.plan import BakeoffPlan
from outcrop.evaluation.bakeoff.plan_reading import read_plan
from outcrop.evaluation.bakeoff.run import check_held_out, read_questions, short_names
from outcrop.evaluation.bakeoff.sharing import digests, job_of, jobs_of

HEAD = 'questions = "questions.jsonl"\nmodels = ["outcrop.starter-v1"]\nscores = ["token_f1"]\n'
WHOLE = """
[prompt.zero-shot]
[prompt.few-shot]
examples = 2
training = "train.jsonl"
[retrieval.none]
[retrieval.rules]
documents = ["rules"]
[customization.none]
[customization.ft]
type = "FINE_TUNING"
training = "train.jsonl"
hyperparameters = { epochCount = 2, "outcrop.rslora" = true }
[customization.cpt]
type = "CONTINUED_PRE_TRAINING"
training = "texts.jsonl"
[customization.cpt-ft]
after = "cpt"
type = "FINE_TUNING"
training = "train.jsonl"
[[leave_out]]
customization = "cpt"
prompt = "few-shot"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "questions.jsonl").write_text('{"prompt": "Who?", "referenceResponse": "She."}\n')
    (tmp_path / "train.jsonl").write_text(
        "".join(f'{{"prompt": "Question {n}?", "completion": "{n}."}}\n' for n in range(4))
    )
    (tmp_path / "texts.jsonl").write_text('{"input": "A text."}\n')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/1.md").write_text("A rule.")
    return tmp_path


def plan_of(folder: Path, text: str) -> BakeoffPlan:
    (folder / "plan.toml").write_text(text)
    return read_plan(folder / "plan.toml")


def test_the_cells_are_the_product_of_the_axes_less_what_is_left_out(folder: Path) -> None:
    plan = plan_of(folder, HEAD + WHOLE)
    cells = list(plan.cells())
    assert len(cells) == 2 * 2 * 4 - 2
    assert cells[0].name == "zero-shot/none/none/outcrop.starter-v1"
    assert not any((cell.customization, cell.prompt) == ("cpt", "few-shot") for cell in cells)
    assert short_names(cells)[cells[0].name] == "zero-shot / none / none"
    assert plan.customizations["ft"].hyperparameters == (("epochCount", "2"), ("outcrop.rslora", "true"))
    assert plan.prompts["zero-shot"].is_plain
    assert plan.retrievals["none"].is_plain


def test_a_plan_without_axes_asks_the_models_as_they_come(folder: Path) -> None:
    assert [cell.name for cell in plan_of(folder, HEAD).cells()] == ["none/none/none/outcrop.starter-v1"]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["questions: is missing", "models: is missing", "scores: is missing"]),
        (HEAD + 'horizont = 3', ["horizont: no such key. Did you mean horizon?"]),
        (HEAD + "max_tokens = 0\nseed = true", ["max_tokens: 0 is not within 1", "seed: takes a whole number, and True"]),
        (HEAD.replace("token_f1", "tokenf1"), ["scores: 'tokenf1' is no score."]),
        (HEAD + '[prompt.a]\ntemplate = "Answer!"', ["prompt.a.template: $question$ is not in it"]),
        (HEAD + "[prompt.a]\nexamples = 2", ["prompt.a.training: is missing"]),
        (HEAD + "[prompt.A_b]", ["prompt.A_b: is no name"]),
        (HEAD + "[retrieval.a]\nresults = 2", ["retrieval.a.documents: is missing, and so is knowledge_base"]),
        (HEAD + '[retrieval.a]\ndocuments = ["gone"]', ["retrieval.a.documents: gone: no such file or folder."]),
        (
            HEAD + '[customization.a]\ntraining = "train.jsonl"\n[customization.b]\ntype = "FINETUNING"',
            [
                "customization.a.type: is missing",
                "customization.b.type: 'FINETUNING' is none of",
                "customization.b.training: is missing",
            ],
        ),
        (
            HEAD + '[customization.a]\ntype = "FINE_TUNING"\ntraining = "train.jsonl"\nafter = "a"',
            ["customization.a.after: a -> a goes round in a circle."],
        ),
        (
            HEAD + '[customization.a]\ntype = "FINE_TUNING"\ntraining = "train.jsonl"\nafter = "b"',
            ["customization.a.after: 'b' is no customization of the plan."],
        ),
        (HEAD + '[[leave_out]]\nprompt = "x"', ["leave_out[0].prompt: 'x' is none of none."]),
        (HEAD + '[[leave_out]]\nprompt = "none"', ["leave_out: no cell is left. Leave out less."]),
        (
            HEAD + '[customization.a]\ntype = "FINE_TUNING"\ntraining = "train.jsonl"\nhyperparameters = { outcrop.rank = 8 }',
            ['customization.a.hyperparameters.outcrop: a table. Put names with a dot into quotation marks: "outcrop.rank"'],
        ),
    ],
)  # fmt: skip
def test_every_problem_of_a_plan_is_told_with_its_key(folder: Path, text: str, problems: list[str]) -> None:
    with pytest.raises(Invalid) as refused:
        plan_of(folder, text)
    told = [line.strip() for line in refused.value.message.splitlines()]
    assert len(told) == len(problems) + 1
    for problem in problems:
        assert any(line.startswith(problem) for line in told[1:]), told


def test_what_is_no_toml_is_refused(folder: Path) -> None:
    with pytest.raises(Invalid, match=r"plan.toml: no TOML \("):
        plan_of(folder, "questions = ")


def test_cells_with_the_same_chain_share_a_job(folder: Path) -> None:
    plan, digest = plan_of(folder, HEAD + WHOLE), digests()
    jobs = jobs_of(plan, plan.cells(), digest)
    # Fine-tuning, pre-training, and fine-tuning after it: three jobs for 10 cells that ask a custom model
    assert [(job.type, job.parent is not None) for job in jobs] == [
        ("FINE_TUNING", False),
        ("CONTINUED_PRE_TRAINING", False),
        ("FINE_TUNING", True),
    ]
    of_cells = [job_of(plan, cell, digest) for cell in plan.cells()]
    assert {job.digest for job in of_cells if job is not None} == {job.digest for job in jobs}
    assert jobs[2].chain == (jobs[1], jobs[2])


@pytest.mark.parametrize(
    "changed",
    [
        ("epochCount = 2", "epochCount = 3"),
        ("scores", "seed = 1\nscores"),
        ("scores", "threads = 1\nscores"),
        ("outcrop.starter-v1", "amazon.titan-text-lite-v1"),
    ],
)
def test_whatever_changes_the_model_changes_the_job(folder: Path, changed: tuple[str, str]) -> None:
    def first(text: str) -> str:
        plan = plan_of(folder, text)
        return jobs_of(plan, plan.cells(), digests())[0].name

    before = first(HEAD + WHOLE)
    assert first((HEAD + WHOLE).replace(*changed)) != before
    assert first(HEAD + WHOLE.replace("zero-shot", "bare")) == before
    (folder / "train.jsonl").write_text('{"prompt": "Other?", "completion": "Yes."}\n')
    assert first(HEAD + WHOLE) != before


def test_a_question_that_stands_in_the_training_data_is_refused(folder: Path) -> None:
    (folder / "questions.jsonl").write_text('{"prompt": " question  2? ", "referenceResponse": "2."}\n')
    plan = plan_of(folder, HEAD + WHOLE)
    with pytest.raises(Invalid, match=r"questions.jsonl:1 stands in train.jsonl:3"):
        check_held_out(plan, read_questions(plan), [])
