"""Prompts by a template of the user: over the source's fields, in a sandbox, within limits."""

from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.recipes.recipe import Dropped, Item, Kept
from outcrop.recipes.template import RecordTemplate
from outcrop.tokens import template_pool

ROW = {"question": "Where?", "answers": ["here", "there"], "notes": {"by": "Ann"}}


def item(**record: Any) -> Kept:
    return Kept(record=record or {"prompt": "p", "completion": "c"}, group="g", origin="f:1", fields=ROW)


def filled(template: RecordTemplate, *items: Item) -> list[Item]:
    return list(template.fill(items or (item(),)))


def test_a_template_may_name_columns_and_what_the_recipe_wrote() -> None:
    template = RecordTemplate(prompt="{{ notes.by }}: {{ question }} ({{ prompt }})", completion="{{ answers[0] }}")
    (made,) = filled(template)
    assert isinstance(made, Kept)
    assert made.record == {"prompt": "Ann: Where? (p)", "completion": "here"}
    (made,) = filled(RecordTemplate(prompt="{{ completion }}?"))
    assert isinstance(made, Kept)
    assert made.record == {"prompt": "c?", "completion": "c"}


def test_without_templates_and_for_what_was_left_out_nothing_changes() -> None:
    dropped = Dropped(origin="f:2", reason="short")
    assert filled(RecordTemplate(), item(), dropped) == [item(), dropped]
    assert filled(RecordTemplate(prompt="x"), dropped) == [dropped]


def test_a_name_that_the_item_lacks_leaves_it_out_and_tells_the_fields() -> None:
    assert filled(RecordTemplate(prompt="{{ qestion }}")) == [
        Dropped(
            origin="f:1",
            reason="--prompt: 'qestion' is undefined (fields: prompt, completion, question, answers, notes)",
        )
    ]


def test_a_template_may_leave_an_item_out_with_its_own_words() -> None:
    template = RecordTemplate(completion="{{ raise_exception('nobody answered') if answers | length > 1 else 'x' }}")
    assert filled(template) == [Dropped(origin="f:1", reason="--completion: nobody answered")]


def test_both_templates_make_pairs_of_texts() -> None:
    (made,) = filled(RecordTemplate(prompt="{{ input[:2] }}", completion="{{ input[2:] }}"), item(input="abcd"))
    assert isinstance(made, Kept)
    assert made.record == {"prompt": "ab", "completion": "cd"}
    with pytest.raises(Invalid, match=r"--completion: missing\. This recipe writes texts"):
        filled(RecordTemplate(prompt="x"), item(input="abcd"))


def test_conversations_are_not_written_by_templates() -> None:
    with pytest.raises(Invalid, match="f:1: a conversation, which --prompt and --completion do not write"):
        filled(RecordTemplate(prompt="x"), item(messages=[]))


@pytest.mark.parametrize("source", ["{{ question", "{% if %}", "{% nothing %}", "{{ 'a' | nofilter }}{% endfor %}"])
def test_a_template_that_is_none_is_told_before_anything_is_read(source: str) -> None:
    with pytest.raises(Invalid, match=r"^--completion: .* Write Jinja, such as \{\{ field \}\}\.$"):
        RecordTemplate(completion=source)


@pytest.mark.parametrize(
    "source", ["{{ ''.__class__.__mro__ }}", "{{ question.__class__ }}", "{{ answers.append(1) }}"]
)
def test_a_template_reaches_nothing_but_its_fields(source: str) -> None:
    (made,) = filled(RecordTemplate(prompt=source))
    assert isinstance(made, Dropped)
    assert "SecurityError" in made.reason or "undefined" in made.reason


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "does not end within"),
        ("{{ 'a' * 9999999999 }}", "more memory"),
        ("{% for a in range(99999) %}{{ 'a' * 99 }}{% endfor %}", "writes more than"),
    ],
)
def test_a_template_without_end_stops_the_recipe(monkeypatch: pytest.MonkeyPatch, source: str, why: str) -> None:
    monkeypatch.setattr(template_pool, "CPU_S", 0.2)
    with pytest.raises(Invalid, match=rf"^--prompt: on f:1: .*{why}.* Write a shorter template\.$"):
        filled(RecordTemplate(prompt=source))


def test_values_that_json_does_not_know_are_written_as_text(tmp_path: Path) -> None:
    made = Kept(record={"prompt": "p", "completion": "c"}, group="g", origin="o", fields={"where": tmp_path})
    (written,) = filled(RecordTemplate(prompt="{{ where }}"), made)
    assert isinstance(written, Kept)
    assert written.record["prompt"] == str(tmp_path)
