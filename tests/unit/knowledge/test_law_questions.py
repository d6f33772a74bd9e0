"""The questions in a user's other words: each is answered by the section that it names."""

import json
from pathlib import Path

from tests.support.sample_data import sample

QUESTIONS = Path(__file__).parents[2] / "support" / "law_questions.jsonl"


def test_each_question_names_the_words_that_answer_it() -> None:
    lines = (sample("us-securities-law") / "sections.jsonl").read_text().splitlines()
    texts = {section["id"]: section["text"] for section in map(json.loads, lines)}
    questions = [json.loads(line) for line in QUESTIONS.read_text().splitlines()]

    assert len({each["question"] for each in questions}) == 100
    for each in questions:
        assert any(each["evidence"] in texts[name] for name in each["sections"]), each["question"]
