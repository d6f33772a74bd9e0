"""The names and habits of Hugging Face chat templates."""

import pytest

from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.tokens.chat_template import ChatTemplate, TemplateBroken, TemplateRefused

USER = [{"role": "user", "content": "<b> & 猫"}]


def render(source: str, messages: list[dict[str, str]] = USER) -> str:
    template = ChatTemplate(source, tokens={"bos_token": "<s>"}, clock=MovableClock())
    return template.render(messages, add_generation_prompt=True)


def test_json_is_written_without_escapes_for_html() -> None:
    assert render("{{ messages[0].content | tojson }}") == '"<b> & 猫"'


def test_block_tags_leave_no_blank_lines() -> None:
    assert render("{% for m in messages %}\n    {% if true %}\nx\n    {% endif %}\n{% endfor %}\n") == "x\n"


def test_loops_may_be_left_early() -> None:
    assert render("{% for n in [1, 2, 3] %}{% if n == 2 %}{% break %}{% endif %}{{ n }}{% endfor %}") == "1"


def test_what_the_assistant_says_may_be_marked() -> None:
    assert render("{{ bos_token }}{% generation %}said{% endgeneration %}") == "<s>said"


def test_a_template_may_refuse_in_its_own_words() -> None:
    with pytest.raises(TemplateRefused) as refused:
        render("{{ raise_exception('System role not supported') }}")
    assert refused.value.message == "chat template: System role not supported"


def test_a_template_that_reaches_for_the_machine_is_refused() -> None:
    with pytest.raises(TemplateBroken, match="unsafe"):
        render("{{ ''.__class__.__mro__ }}")


def test_a_template_with_a_mistake_is_refused_when_it_is_read() -> None:
    with pytest.raises(Invalid, match="Mend chat_template"):
        render("{% for %}")
