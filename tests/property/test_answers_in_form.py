"""Whatever a network says, under a schema its answer is JSON that fits: random weights, greedy and drawn, side by side."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outcrop.inference.engine import Engine
from outcrop.inference.request import STOP, EngineRequest, Sampling
from outcrop.invocation import json_schema, schema_grammar
from outcrop.tokens.tokenizer import Tokenizer
from tests.support.chat_templates import HERMES
from tests.support.tiny import tiny_chat_model

names = st.text("abé_ ", min_size=1, max_size=3)
scalars = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, st.integers(-200, 200), st.integers(0, 500)),
    st.builds(lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, st.integers(0, 2), st.integers(0, 4)),
    st.builds(lambda values: {"enum": values}, st.lists(st.one_of(names, st.integers(-9, 9), st.none()), min_size=1, max_size=3, unique=True)),
    st.builds(lambda value: {"const": value}, st.one_of(names, st.lists(names, max_size=2))),
    st.sampled_from([{"type": "string", "format": "date"}, {"type": "string", "pattern": "^[a-c]{1,3}$"}]),
)  # fmt: skip


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects of known properties, all or some of them required."""

    def made(properties: dict[str, Any], optional: set[int]) -> dict[str, Any]:
        required = [name for number, name in enumerate(properties) if number not in optional]
        return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    return st.builds(made, st.dictionaries(names, inner, max_size=3), st.sets(st.integers(0, 2)))


def lists(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(
        lambda items, least, more: {"type": "array", "items": items, "minItems": least, "maxItems": least + more},
        inner,
        st.integers(0, 1),
        st.integers(0, 2),
    )


schemas = st.recursive(
    scalars,
    lambda inner: st.one_of(
        objects(inner),
        lists(inner),
        st.builds(lambda either: {"anyOf": either}, st.lists(inner, min_size=1, max_size=2)),
    ),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Tokenizer]]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tiny_chat_model(tmp_path_factory.mktemp("network"), HERMES)
    yield Engine(folder, cache_bytes=2**24), Tokenizer.open(folder)
    torch.set_num_threads(before)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(schema=schemas, seed=st.integers(0, 2**20))
def test_every_answer_under_a_schema_parses_and_fits(
    speaking: tuple[Engine, Tokenizer], schema: dict[str, Any], seed: int
) -> None:
    engine, tokenizer = speaking
    json_schema.check(schema, at="schema")
    grammar = f"start: {schema_grammar.in_grammar(schema)}"
    samplings = [
        Sampling(temperature=0.0),
        Sampling(temperature=1.0, seed=seed),
        Sampling(temperature=1.0, top_p=0.5, presence_penalty=1.0, seed=seed),
    ]
    for number, sampling in enumerate(samplings):
        prompt_ids = tuple(tokenizer.encode(f"say {number} {seed}", begin=True))
        engine.submit(
            EngineRequest(
                id=str(number),
                prompt_ids=prompt_ids,
                max_tokens=3000,
                sampling=sampling,
                grammar=grammar,
                stop_token_ids=frozenset(tokenizer.eos_ids),
            )
        )
    made: dict[str, list[int]] = {str(number): [] for number in range(len(samplings))}
    reasons: dict[str, str | None] = {}
    while engine.busy:
        for produced in engine.step():
            assert produced.problem is None
            made[produced.request_id].append(produced.token)
            reasons[produced.request_id] = produced.finish_reason
    for name, ids in made.items():
        said = tokenizer.decode(ids)
        assert reasons[name] == STOP, said
        jsonschema.validate(json.loads(said), schema, format_checker=jsonschema.FormatChecker())
