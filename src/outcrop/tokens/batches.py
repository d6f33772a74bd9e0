"""Texts encoded many at a time, for functions that ask for token ids one record at a time.

Such a function is a generator of steps: it yields the texts it needs and is sent their ids. Alone it is answered text
by text; together with others, the texts of all of them go to the tokenizer at once. What it returns is the same.
"""

from collections.abc import Generator, Sequence
from typing import TypeVar

from outcrop.errors import Invalid
from outcrop.tokens.tokenizer import PlacedText, Tokenizer

Result = TypeVar("Result")
Steps = Generator[Sequence[PlacedText], Sequence[list[int]], Result]
"Yields texts, is sent the ids of each, and returns a result."


def alone(tokenizer: Tokenizer, steps: Steps[Result]) -> Result:
    """The result of one function. Raises Invalid for half a character in one of its texts."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send([tokenizer.encode_text(text) for text in asked])
    except StopIteration as end:
        result: Result = end.value
        return result


def together(tokenizer: Tokenizer, several: Sequence[Steps[Result]]) -> list[Result | Invalid]:
    """The result of each function, in order, or why it has none."""
    results: dict[int, Result | Invalid] = {}
    answers: dict[int, Sequence[list[int]] | Invalid | None] = dict.fromkeys(range(len(several)))
    while answers:
        asked: dict[int, Sequence[PlacedText]] = {}
        for number, answer in answers.items():
            try:
                asked[number] = _go_on(several[number], answer)
            except StopIteration as end:
                results[number] = end.value
            except Invalid as problem:
                results[number] = problem
        answers = _answers(tokenizer, asked)
    return [results[number] for number in range(len(several))]


def _go_on(steps: Steps[Result], answer: Sequence[list[int]] | Invalid | None) -> Sequence[PlacedText]:
    if isinstance(answer, Invalid):
        return steps.throw(answer)
    return next(steps) if answer is None else steps.send(answer)


def _answers(
    tokenizer: Tokenizer, asked: dict[int, Sequence[PlacedText]]
) -> dict[int, Sequence[list[int]] | Invalid | None]:
    try:
        ids = iter(tokenizer.encode_batch([text for texts in asked.values() for text in texts]))
    except Invalid:  # one text among them; each is told apart
        return {number: _one_answer(tokenizer, texts) for number, texts in asked.items()}
    return {number: [next(ids) for _ in texts] for number, texts in asked.items()}


def _one_answer(tokenizer: Tokenizer, texts: Sequence[PlacedText]) -> Sequence[list[int]] | Invalid:
    try:
        return tokenizer.encode_batch(texts)
    except Invalid as problem:
        return problem
