"""Answers grounded for training: prompts as a model is served them, answers with the marks it is asked for."""

from collections.abc import Sequence

from outcrop.knowledge.answering.citations import CitedPart, Evidence, supported_share
from outcrop.knowledge.answering.sentences import AnswerReader
from outcrop.knowledge.answering.templates import CITING, GENERATION, Placeholder, PromptTemplate, told_results
from outcrop.knowledge.passages import Found
from outcrop.recipes.grounded import GroundedAnswer

SUPPORTED = 0.5
"So much of an answer's claims must stand in the passages."
NOTHING_FOUND, UNSUPPORTED = "the search finds no passage", "the passages do not hold the answer"


async def grounded_answer(question: str, answer: str, passages: Sequence[Found]) -> GroundedAnswer | str:
    """The training pair of a question; or the reason why there is none."""
    if not passages:
        return NOTHING_FOUND
    reader, evidence = AnswerReader(0), Evidence(passages, question)
    _, first = reader.push(answer)
    _, rest = reader.finish()
    parts = [await evidence.cite(sentence) for sentence in [*first, *rest]]
    cited = [number for part in parts for number in part.cited]
    if not cited or supported_share(parts) < SUPPORTED:
        return UNSUPPORTED
    values = {
        Placeholder.QUERY: question,
        Placeholder.SEARCH_RESULTS: told_results([(one, one.text) for one in passages]),
        Placeholder.OUTPUT_FORMAT_INSTRUCTIONS: CITING,
    }
    return GroundedAnswer(
        prompt=PromptTemplate(text=GENERATION).filled(values),
        completion="".join(map(_marked, parts)).strip(),
        source=passages[max(set(cited), key=cited.count)].document.identifier,
    )


def _marked(part: CitedPart) -> str:
    """A sentence with the numbers of its passages behind it, before the blanks that follow."""
    text = part.text.rstrip()
    marks = "".join(f"[{number + 1}]" for number in part.cited)
    blanks = part.text[len(text) :]
    return f"{text} {marks}{blanks}" if marks else part.text
