"""The JSON in which vectors and relevance are asked for and told: vLLM's, with two fields of our own."""

import json
from array import array

import pytest

from outcrop.errors import Invalid
from outcrop.inference import encoder_requests
from outcrop.tokens.encoder_tokenizer import TokenRow

PLAIN, PAIR = TokenRow([2, 5, 3], [0, 0, 0]), TokenRow([2, 5, 3, 6, 3], [0, 0, 0, 1, 1], num_prompt=2)


def test_what_is_asked_is_what_is_read() -> None:
    body = encoder_requests.body_of("base", [PLAIN, PAIR])
    read = encoder_requests.parse(json.dumps(body).encode())
    assert (read.model, read.rows, read.base64, read.hidden_states) == ("base", (PLAIN, PAIR), True, False)
    of_text = encoder_requests.body_of("base", [PLAIN], hidden_states=True)
    assert encoder_requests.parse(json.dumps(of_text).encode()).hidden_states


def test_fields_of_our_own_are_left_out_where_they_say_nothing() -> None:
    assert encoder_requests.body_of("base", [PLAIN]) == {
        "model": "base",
        "input": [[2, 5, 3]],
        "encoding_format": "base64",
    }


@pytest.mark.parametrize("form", ["base64", "float"])
def test_a_vector_comes_back_bit_for_bit(form: str) -> None:
    body = {**encoder_requests.body_of("base", [PLAIN, PLAIN]), "encoding_format": form}
    vectors = [array("f", [0.1, -2.5e-7]), array("f", [1 / 3, 3e38])]
    asked = encoder_requests.parse(json.dumps(body).encode())
    answer = json.dumps(encoder_requests.embeddings_answer(asked, vectors)).encode()
    assert encoder_requests.vectors_of(answer) == vectors
    assert json.loads(answer)["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


def test_scores_come_back_in_the_order_of_the_rows() -> None:
    asked = encoder_requests.parse(json.dumps(encoder_requests.body_of("base", [PLAIN, PAIR])).encode())
    answer = encoder_requests.scores_answer(asked, [0.25, 0.75])
    answer["data"].reverse()
    assert encoder_requests.scores_of(json.dumps(answer).encode()) == [0.25, 0.75]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": []}, "input: holds no row. Give at least one."),
        ({"input": [[]]}, "input: expected lists of token ids, none of them empty. This engine has no tokenizer."),
        ({"input": "words"}, "input: expected lists of token ids, none of them empty. This engine has no tokenizer."),
        ({"input": [[1, "a"]]}, "input: expected lists of token ids, found something else in one. Send whole numbers."),
        ({"input": [[1, True]]}, "input: expected lists of token ids, found something else in one. Send whole numbers."),
        ({"token_type_ids": [[0]]}, "token_type_ids, num_prompt: expected as many as there are rows, and of their lengths."),
        ({"num_prompt": [1, 2]}, "token_type_ids, num_prompt: expected as many as there are rows, and of their lengths."),
        ({"num_prompt": [-1]}, "num_prompt: expected a list of numbers, one a row."),
        ({"dimensions": 2}, "dimensions: is not supported by this engine. Leave it out."),
        ({"model": None}, "model: expected a string, found null."),
    ],
)  # fmt: skip
def test_a_body_that_is_wrong_is_refused_by_its_field(change: dict[str, object], sentence: str) -> None:
    body = {**encoder_requests.body_of("base", [PLAIN]), **change}
    with pytest.raises(Invalid) as refused:
        encoder_requests.parse(json.dumps(body).encode())
    assert str(refused.value) == sentence
