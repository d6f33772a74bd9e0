"""Train equals serve: a custom model is let in only when the engine that will serve it agrees with the trainer.

The trainer leaves `parity.json` beside the weights: token ids of held-out records and their log probabilities under the
saved adapter. The engine scores the same ids.
"""

from dataclasses import dataclass
from pathlib import Path

from outcrop.errors import ModelDamaged
from outcrop.inference.client import EngineClient
from outcrop.json_files import FileProblem
from outcrop.training.parity_file import FILE, read_samples

TOLERANCE = 2e-3
"""Nats per token, chosen rather than measured. On one CPU in fp32 trainer and engine agreed exactly (368 tokens of the
quickstart's model, 2026-11-21); 16-bit engines will not. A wrong template, mask or scale shows as whole nats."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How far the two lie apart."""

    num_tokens: int
    largest_difference: float

    @property
    def failure(self) -> str | None:
        """Why the model may not be served, or None."""
        if self.num_tokens == 0:
            return (
                f"{FILE} holds no token to compare, so the engine cannot be shown to serve what was trained. "
                "Train the model anew."
            )
        if not self.largest_difference <= TOLERANCE:  # so written that NaN fails too
            return (
                f"the engine's log probabilities differ from the trainer's by {self.largest_difference:.2g} nats "
                f"(allowed {TOLERANCE:g}) on held-out records. Its answers would not be those of the trained model."
            )
        return None


async def compare(client: EngineClient, model: str, folder: Path) -> Parity:
    """Score the trainer's samples with the engine, which must hold `model`: an adapter, or its own base.

    Raises ModelDamaged.
    """
    try:
        samples = read_samples(folder)
    except FileProblem as problem:
        raise ModelDamaged(
            f"The files of the custom model are damaged: {problem}. Restore its folder from a backup, or import or "
            "train it again."
        ) from problem
    differences: list[float] = []
    for sample in samples:
        served = await client.score(model, sample["ids"])
        trained = sample["logprobs"]
        differences += [abs(ours - theirs) for ours, theirs in zip(trained, served, strict=True)]
    return Parity(num_tokens=len(differences), largest_difference=max(differences, default=0.0))
