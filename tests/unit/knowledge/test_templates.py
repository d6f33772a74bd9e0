"""Prompt templates: placeholders filled once, and what a request's own must hold."""

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge.answering.templates import (
    GENERATION,
    Placeholder,
    PromptTemplate,
    read_generation,
    read_rewriting,
    told_results,
)
from tests.support.found_passages import found


def test_what_is_put_in_is_not_filled_again() -> None:
    template = PromptTemplate(text="$query$ / $search_results$ / $5$ / $nothing$")
    values = {Placeholder.QUERY: "costs $search_results$", Placeholder.SEARCH_RESULTS: "[1] $query$"}
    assert template.filled(values) == "costs $search_results$ / [1] $query$ / $5$ / $nothing$"


def test_a_placeholder_without_a_value_is_left_empty() -> None:
    assert PromptTemplate(text="a $current_time$ b").filled({}) == "a  b"


def test_the_usual_template_has_a_place_for_everything_it_needs() -> None:
    template = read_generation(None, at="x")
    assert template.text == GENERATION
    assert all(template.has(each) for each in (Placeholder.SEARCH_RESULTS, Placeholder.QUERY))


def test_a_template_without_search_results_is_refused_by_its_place() -> None:
    with pytest.raises(Invalid) as refused:
        read_generation({"textPromptTemplate": "Answer: $query$"}, at="a.promptTemplate")
    assert refused.value.message == (
        "a.promptTemplate.textPromptTemplate: $search_results$ is not in it, so the model would see no passage. Put it "
        "where the search results belong."
    )


def test_a_template_of_ones_own_for_rewriting_may_hold_anything() -> None:
    assert read_rewriting(None) is None
    assert read_rewriting({"textPromptTemplate": "Again: $query$"}) == PromptTemplate(text="Again: $query$")


def test_results_have_numbers_and_the_headings_above_them() -> None:
    first, second = found("The fee is 5.", headings=("Fees", "Entry")), found("Nothing else.", number=1)
    told = told_results([(first, first.text), (second, "Nothing")])
    assert told == "[1] Fees > Entry\nThe fee is 5.\n\n[2] Nothing"
