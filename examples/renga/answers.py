"""Upper verses to models, and their lower verses side by side in a table of 80 columns."""

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .endpoint import component
from .mora import NotKanaError, count_morae
from .services import Booth

COLUMNS = 80
_MODEL_COLUMNS, _MORAE_COLUMNS = 14, 10
_MOST_TOKENS = 32
_AT_ONCE = 8
_TASK = (
    "連歌の上の句です。これに続く下の句を一つだけ答えてください。七音と七音の二句を空白で区切り、ひらがなだけで書き、"
    "説明は書かないでください。\n\n{upper}"
)
"To a model that has not learned the form: what is asked of it."

Answerer = Callable[[str], str]
"Gives a lower verse to an upper one."


def prompt_of(upper: str) -> str:
    """The prompt that the models of the booth have learned."""
    return f"上の句: {upper}\n下の句:"


def upper_of(prompt: str) -> str:
    """The upper verse in a prompt of the booth."""
    return prompt.removeprefix("上の句: ").partition("\n")[0]


def learned(booth: Booth, model: str, *, runtime: Any = None) -> Answerer:
    """A component that has learned verses, or the base of one, asked in the words that were learned."""

    def answer(upper: str) -> str:
        sampling = {"max_new_tokens": _MOST_TOKENS, "do_sample": False}
        told = _invoke(booth, runtime, model, {"inputs": prompt_of(upper), "parameters": sampling})
        told = told[0] if isinstance(told, list) else told
        return str(told["generated_text"]).strip()

    return answer


def conversing(booth: Booth, model: str) -> Answerer:
    """A component whose model speaks with people: it is told what a lower verse is."""

    def answer(upper: str) -> str:
        turns = [{"role": "user", "content": _TASK.format(upper=upper)}]
        body = {"messages": turns, "max_tokens": _MOST_TOKENS * 2, "temperature": 0}
        told = _invoke(booth, None, model, body)
        return str(told["choices"][0]["message"]["content"] or "").strip()

    return answer


def by_bedrock(booth: Booth, model_id: str) -> Answerer:
    """A model behind Bedrock's API, wherever that is: with a remote model, the verse leaves this machine."""

    def answer(upper: str) -> str:
        told = booth.bedrock.converse(
            modelId=model_id,
            messages=[{"role": "user", "content": [{"text": _TASK.format(upper=upper)}]}],
            inferenceConfig={"maxTokens": _MOST_TOKENS * 2, "temperature": 0},
        )
        return "".join(block.get("text", "") for block in told["output"]["message"]["content"]).strip()

    return answer


def ask_all(answerer: Answerer, uppers: Sequence[str]) -> list[str]:
    """The lower verses to several upper ones, in their order."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(answerer, uppers))


def table(upper: str, lowers: Mapping[str, str]) -> str:
    """An upper verse, and every model's lower verse with its morae, no line wider than 80 columns."""
    rows = [("上の句", upper), *((model, first_line(lower)) for model, lower in lowers.items())]
    verse_columns = COLUMNS - _MODEL_COLUMNS - _MORAE_COLUMNS
    lines = [
        filled(model, _MODEL_COLUMNS) + filled(verse, verse_columns) + morae(verse).rjust(_MORAE_COLUMNS)
        for model, verse in rows
    ]
    return "\n".join([lines[0], "-" * COLUMNS, *lines[1:]])


def morae(verse: str) -> str:
    """The morae of each ku, 5-7-5; ? for one whose reading is a guess, – for nothing."""
    if not verse.split():
        return "–"
    counted = "-".join(_count(ku) for ku in verse.split())
    return counted if len(counted) < _MORAE_COLUMNS else f"{counted[: _MORAE_COLUMNS - 2]}…"


def first_line(text: str) -> str:
    """The first line of an answer; what a model says behind it is no part of the verse."""
    return text.partition("\n")[0].strip()


def filled(text: str, columns: int) -> str:
    """A text in so many columns of a terminal, on which kana and kanji take two; cut with … where it is longer."""
    if columns_of(text) >= columns:
        while columns_of(text) > columns - 2:
            text = text[:-1]
        text += "…"
    return text + " " * (columns - columns_of(text))


def columns_of(text: str) -> int:
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _count(ku: str) -> str:
    try:
        return str(count_morae(ku))
    except NotKanaError:
        return "?"


def _invoke(booth: Booth, runtime: Any, model: str, body: Mapping[str, Any]) -> Any:
    answer = (runtime or booth.runtime).invoke_endpoint(
        EndpointName=booth.run,
        InferenceComponentName=component(booth, model),
        ContentType="application/json",
        Body=json.dumps(body),
    )
    return json.loads(answer["Body"].read())
