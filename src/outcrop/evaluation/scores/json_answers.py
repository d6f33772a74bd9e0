"""Answers that should be JSON: whether they are, and whether they keep to a schema.

An answer is taken as it is, white space around it apart: a program that parses it would stumble over a code fence or a
sentence before it, and so does the score. It says so.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from outcrop.errors import Invalid
from outcrop.evaluation.scores.scoring import Candidate, ScoreValue, TextScore, each, share


def _valid(candidate: Candidate) -> ScoreValue:
    problem = _parsed(candidate.answer)[1]
    return share(not problem, **({"problem": problem} if problem else {}))


JSON_VALID = TextScore(
    name="json_valid",
    meaning="1 where the answer is JSON as it stands.",
    higher_is_better=True,
    is_share=True,
    scoring=each(_valid),
)


def json_schema(schema: Mapping[str, Any] | bool, name: str) -> TextScore:
    """The score of answers that are JSON and keep to a schema. Raises Invalid for a schema that is none.

    A `$ref` may lead within the schema only: nothing is fetched.
    """
    from jsonschema import exceptions, validators
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    kind = validators.validator_for(schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except exceptions.SchemaError as error:
        raise Invalid(f"{name}: {_where(error.path)}: {error.message}. Give a JSON Schema.") from error
    validator = kind(schema, registry=Registry())

    def of(candidate: Candidate) -> ScoreValue:
        value, problem = _parsed(candidate.answer)
        if problem:
            return share(False, problem=problem)
        try:
            found = exceptions.best_match(validator.iter_errors(value))
        except Unresolvable as error:
            return ScoreValue(value=None, why_not=f"{name}: {error}. Put what the schema refers to into its $defs.")
        return share(found is None, **({"problem": f"{_where(found.absolute_path)}: {found.message}"} if found else {}))

    return TextScore(
        name=f"json_schema:{name}",
        meaning=f"1 where the answer is JSON and keeps to the schema {name}.",
        higher_is_better=True,
        is_share=True,
        scoring=each(of),
    )


def read_schema(path: Path) -> dict[str, Any] | bool:
    """The schema in a file. Raises Invalid for a file that is not there or is no schema."""
    try:
        schema = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise Invalid(f"{path}: {error.strerror}. Name a file with a JSON Schema.") from error
    except ValueError as error:
        raise Invalid(f"{path}: not JSON: {error}. Name a file with a JSON Schema.") from error
    if not isinstance(schema, dict | bool):
        raise Invalid(f"{path}: a JSON Schema is an object, true or false. Name a file with a JSON Schema.")
    return schema


def _parsed(answer: str) -> tuple[Any, str]:
    """The value of an answer, and the sentence why it has none."""
    text = answer.strip()
    try:
        return json.loads(text, parse_constant=_no_constant), ""
    except (ValueError, RecursionError) as error:
        if text.startswith("```"):
            return None, "a code fence stands around it"
        return None, f"not JSON: {error}" if text else "empty"


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _where(path: Any) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(steps).removeprefix(".") or "the whole"
