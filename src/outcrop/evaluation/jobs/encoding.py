"""The encoder for similarity of meaning: an embedding model of the catalogue that the job's role may ask."""

from collections.abc import Sequence

from outcrop import arn as arns
from outcrop.errors import Invalid
from outcrop.evaluation.jobs.rooms import EvaluationRooms
from outcrop.evaluation.scores.similarity import Encode
from outcrop.invocation.background.models import check_may_invoke, target_of
from outcrop.invocation.background.patience import patiently
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask


def encoder_arn(house: EvaluationRooms, role_arn: str, region: str) -> str | None:
    """The first embedding model of the catalogue, by id, that the role may ask.

    None where there is none that makes vectors of its own. One on another server is not taken: nobody asked that
    answers leave the machine.
    """
    entries = [each for each in house.catalog.ready() if each.task is ModelTask.EMBEDDING]
    for entry in sorted(entries, key=lambda each: each.id):
        arn = arns.foundation_model(region, entry.id)
        if entry.remote is not None or entry.stands_in:
            continue
        try:
            check_may_invoke(house, role_arn, arn)
        except Invalid:
            continue
        return arn
    return None


def encode_with(house: EvaluationRooms, arn: str) -> Encode:
    """The function from texts to their vectors by the model with this ARN. Longer texts are cut at the end.

    Called outside the event loop. Raises the error that keeps the model from answering.
    """
    from outcrop.invocation.embedding import embed  # numpy comes with it
    from outcrop.tokens.encoder_tokenizer import Truncate

    async def asked(texts: Sequence[str]) -> list[list[float]]:
        async def ask() -> list[list[float]]:
            target = target_of(house, arn)
            assert isinstance(target, EncoderTarget), "an embedding model has a target of vectors"
            found = await embed(target, texts, dimensions=None, normalize=True, kind="document", truncate=Truncate.END)
            return found.vectors

        async def again() -> None:
            """There is nothing to find anew: each question finds its target itself."""

        found = await patiently(ask, again=again)
        if isinstance(found, Exception):
            raise found
        return found

    return lambda texts: house.asking_loop.run(asked(texts))
