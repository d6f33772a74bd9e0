"""Questions as approaches ask them: templates, passages, examples drawn by seed."""

from pathlib import Path

import pytest

from outcrop.errors import Invalid
from outcrop.evaluation.bakeoff.plan import PromptApproach
from outcrop.evaluation.bakeoff.prompting import PromptExample, draw_examples, prompted
from outcrop.evaluation.questions import Question


def asked(text: str = "Why?") -> Question:
    return Question(id="q:1", line=1, messages=({"role": "user", "content": text},), references=("So.",))


@pytest.mark.parametrize(
    ("template", "passages", "content"),
    [
        ("$question$", (), "Why?"),
        ("$question$", ("A.", "B."), "[1] A.\n\n[2] B.\n\nWhy?"),
        ("Q: $question$\nRules: $passages$", ("A.",), "Q: Why?\nRules: [1] A."),
        ("$passages$\n\nQ: $question$", (), "Q: Why?"),
    ],
)
def test_a_template_holds_question_and_passages(template: str, passages: tuple[str, ...], content: str) -> None:
    made = prompted(asked(), PromptApproach(name="p", template=template), (), passages)
    assert made.messages == ({"role": "user", "content": content},)
    assert made.references == ("So.",)


def test_a_placeholder_in_a_question_or_passage_stays_text() -> None:
    made = prompted(asked("Is $passages$ a word?"), PromptApproach(name="p"), (), ("A $question$.",))
    assert made.prompt == "[1] A $question$.\n\nIs $passages$ a word?"


def test_examples_are_turns_in_the_words_of_the_template() -> None:
    approach = PromptApproach(name="p", template="Q: $question$", system="Be brief.")
    made = prompted(asked(), approach, (PromptExample(prompt="Who?", completion=" She."),), ("A.",))
    assert made.system == "Be brief."
    assert [(turn["role"], turn["content"]) for turn in made.messages] == [
        ("user", "Q: Who?"),
        ("assistant", "She."),
        ("user", "[1] A.\n\nQ: Why?"),
    ]


def test_examples_are_drawn_by_seed(tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text("".join(f'{{"prompt": "{n}?", "completion": "{n}."}}\n' for n in range(20)))
    assert draw_examples(file, 3, seed=0) == draw_examples(file, 3, seed=0)
    assert draw_examples(file, 3, seed=0) != draw_examples(file, 3, seed=1)
    with pytest.raises(Invalid, match="20 records with a prompt and a completion, for 21 examples"):
        draw_examples(file, 21, seed=0)
