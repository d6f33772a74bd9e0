"""Laws of policy patterns and decisions, for all inputs."""

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from outcrop.access.policies.documents import parse
from outcrop.access.policies.evaluation import Decision, evaluate
from outcrop.access.policies.patterns import covers_arn, fill, matches

texts = st.text(alphabet="ab:/.", max_size=8)
patterns = st.text(alphabet="ab:/.*?", max_size=8)
arns = st.builds("arn:aws:{}:{}:{}:{}".format, *(st.text(alphabet="ab/", max_size=3) for _ in range(3)), texts)


def filled(pattern: str) -> str:
    found = fill(pattern, {}, variables=False)
    assert found is not None
    return found


@given(pattern=patterns, text=texts)
def test_a_pattern_matches_what_the_regular_expression_for_it_matches(pattern: str, text: str) -> None:
    expression = "".join({"*": ".*", "?": "."}.get(sign, re.escape(sign)) for sign in pattern)
    assert matches(filled(pattern), text) == bool(re.fullmatch(expression, text))


@given(arn=arns)
def test_an_arn_and_a_star_cover_every_arn(arn: str) -> None:
    assert covers_arn(filled(arn), arn)
    assert covers_arn(filled("*"), arn)


@given(pattern=patterns, arn=arns)
def test_a_resource_pattern_covers_no_more_than_the_plain_pattern_would(pattern: str, arn: str) -> None:
    if covers_arn(filled(pattern), arn):
        assert matches(filled(pattern), arn)


@given(value=st.text(max_size=10), text=st.text(max_size=10))
def test_a_variable_stands_for_its_value_alone(value: str, text: str) -> None:
    pattern = fill("x${aws:username}", {"aws:username": (value,)}, variables=True)
    if pattern is not None:
        assert covers_arn(pattern, f"x{text}") == (text == value)


@st.composite
def statements(draw: st.DrawFn) -> dict[str, str]:
    return {
        "Effect": draw(st.sampled_from(["Allow", "Deny"])),
        "Action": draw(st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "iam:*"])),
        "Resource": draw(st.sampled_from(["*", "arn:aws:s3:::b/*", "arn:aws:s3:::c/*"])),
    }


@given(given_statements=st.lists(statements(), min_size=1, max_size=5), more=statements())
def test_another_statement_never_undoes_a_deny_and_only_an_allow_grants(
    given_statements: list[dict[str, str]], more: dict[str, str]
) -> None:
    def decide(each: list[dict[str, str]]) -> Decision:
        policy = parse(json.dumps({"Statement": each}))
        return evaluate([policy], action="s3:GetObject", resource="arn:aws:s3:::b/k", context={})

    before, after = decide(given_statements), decide([*given_statements, more])
    assert decide([more, *given_statements]) is after, "the order of statements says nothing"
    if before is Decision.DENIED_EXPLICITLY:
        assert after is Decision.DENIED_EXPLICITLY
    if before is not Decision.ALLOWED and after is Decision.ALLOWED:
        assert more["Effect"] == "Allow"
