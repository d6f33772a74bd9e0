"""A chat template may not hold anybody up: whatever it does ends with a sentence."""

from collections.abc import Mapping
from typing import Any, BinaryIO

import pytest

from outcrop.clock import MovableClock
from outcrop.errors import Invalid
from outcrop.tokens import template_pool, template_process
from outcrop.tokens.chat_template import ChatTemplate, TemplateBroken, TemplateRefused

USER = [{"role": "user", "content": "hello"}]
KEPT = "{% for m in messages %}{{ m.content }}{% endfor %}"


def render(source: str, messages: list[dict[str, str]] = USER) -> str:
    template = ChatTemplate(source, tokens={}, clock=MovableClock())
    return template.render(messages, add_generation_prompt=True)


ENDLESS = [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% for i in range(10) %}{% if n %}{{ f(n - 1) }}{% endif %}{% endfor %}{% endmacro %}{{ f(40) }}",
    "{{ 9 ** (9 ** 9) }}",
]
GREEDY = [
    "{{ 'x' * 10 ** 9 }}",
    "{{ '%1000000000d' | format(3) }}",
    "{{ 'x'.ljust(10 ** 11) }}",
    "{{ [0] * 10 ** 10 }}",
    "{{ ['x' * 50000] * 50000 | join }}",
    "{% set ns = namespace(x='ab') %}{% for i in range(64) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
]


@pytest.mark.parametrize("source", ENDLESS)
def test_a_template_without_end_is_ended(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_pool, "CPU_S", 0.2)
    with pytest.raises(TemplateBroken, match="cannot be rendered: it does not end within"):
        render(source)


def test_a_template_that_was_ended_is_not_tried_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_pool, "CPU_S", 0.2)
    source = ENDLESS[0] + "{# another #}"
    with pytest.raises(TemplateBroken):
        render(source)
    monkeypatch.setattr(template_pool, "CPU_S", 600.0)
    with pytest.raises(TemplateBroken, match="does not end"):
        render(source)


@pytest.mark.parametrize("source", GREEDY)
def test_a_template_that_asks_for_too_much_memory_does_not_get_it(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_pool, "CPU_S", 600.0)
    with pytest.raises(TemplateBroken, match=r"it asks for more memory than|Error: |it writes more than"):
        render(source)


def test_a_template_that_writes_without_end_is_cut_off() -> None:
    with pytest.raises(TemplateBroken, match=r"it writes more than 1,049,416 letters\. Mend chat_template"):
        render("{% for i in range(100000) %}{{ 'a hundred letters or so: ' * 4 }}{% endfor %}")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{{ 1 / 0 }}", "ZeroDivisionError: division by zero"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "it calls itself without end"),
        ("{{ 1 + messages[0].content }}", "TypeError: unsupported operand type(s) for +: 'int' and 'str'"),
        ("{{ messages.a.b }}", "UndefinedError: 'list object' has no attribute 'a'"),
        ("{{ messages | nosuchfilter }}", "TemplateAssertionError: No filter named 'nosuchfilter'"),
        ("{{ strftime_now(3) }}", "TypeError"),
        ("{% include 'other' %}", "TypeError: no loader for this environment specified"),
    ],
)
def test_a_mistake_in_a_template_is_told(source: str, why: str) -> None:
    with pytest.raises(TemplateBroken) as broken:
        render(source)
    assert broken.value.message.startswith(f"The model's chat template cannot be rendered: {why}")


def test_one_template_that_goes_wrong_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(template_pool, "CPU_S", 0.2)
    for source in [*ENDLESS, *GREEDY]:
        with pytest.raises(TemplateBroken):
            render(source + "{# a third #}")
        assert render(KEPT) == "hello"


def test_a_template_is_refused_in_its_own_words_however_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        with pytest.raises(TemplateRefused, match="no, thank you"):
            render("{{ raise_exception('no, thank you') }}")


def test_a_process_that_was_killed_is_started_again() -> None:
    assert render(KEPT) == "hello"
    child = template_pool._of(KEPT)._child
    assert child is not None
    child.kill()
    child.wait()
    assert render(KEPT) == "hello"


def test_a_process_that_somebody_ends_in_its_work_says_nothing_of_the_template(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []

    def send_and_kill(file: BinaryIO, message: Mapping[str, Any]) -> int:
        if not killed:
            child = template_pool._of(KEPT)._child
            assert child is not None
            child.kill()
            killed.append(child.wait())
        return template_process.send(file, message)

    monkeypatch.setattr(template_pool, "send", send_and_kill)
    assert render(KEPT) == "hello"
    assert killed == [-9]


def test_no_more_processes_are_kept_than_a_few() -> None:
    for number in range(template_pool.MOST_PROCESSES + 3):
        assert render(f"{KEPT}{{# {number} #}}") == "hello"
    assert len(template_pool._processes) == template_pool.MOST_PROCESSES


def test_a_long_conversation_is_written_whole() -> None:
    long = "猫 and a dog " * 400_000
    assert render(KEPT, [{"role": "user", "content": long}]) == long


def test_a_template_nested_beyond_reading_is_refused_when_it_is_read() -> None:
    with pytest.raises(Invalid, match="Mend chat_template"):
        render("{{ " + "(" * 50_000 + ")" * 50_000 + " }}")


def test_the_day_is_that_of_the_request_or_the_clock() -> None:
    clock = MovableClock()
    template = ChatTemplate("{{ strftime_now('%d %b %Y') }}", tokens={}, clock=clock)
    assert template.render(USER, add_generation_prompt=True) == clock.now().strftime("%d %b %Y")
    day = clock.now().replace(year=1999, month=12, day=31)
    assert template.render(USER, add_generation_prompt=True, today=day) == "31 Dec 1999"
