"""How likely a model holds a given text: a whole prompt, or an answer to a conversation.

Nothing is generated. Of an answer the log probabilities are those behind the prompt that serving would have made, its
end-of-sequence token included, so that their mean is the loss of training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from outcrop.errors import InputTooLong, Invalid
from outcrop.inference.client import EngineAway, UnknownAdapter
from outcrop.inference.request import TokenLogprob
from outcrop.invocation import prompts
from outcrop.invocation.exchange import ChatPrompt, Count, RawPrompt, TokensPrompt, uncounted
from outcrop.invocation.generate import EnginePatience
from outcrop.invocation.target import RemoteTarget, Target, TextTarget


@dataclass(frozen=True, kw_only=True)
class ScoredText:
    """Token ids of a text that was given, with their log probabilities."""

    before: tuple[int, ...]
    "Ids that the text stands behind, and that are not scored."
    first: int | None
    "The text's first id, where nothing stands before it: then nothing tells its probability."
    logprobs: tuple[TokenLogprob, ...]
    "Of the text's other ids, in nats."

    @property
    def num_read(self) -> int:
        """Tokens that the engine has read."""
        return len(self.before) + (self.first is not None) + len(self.logprobs)


async def score_reference(
    target: TextTarget, prompt: ChatPrompt, reference: str, *, likeliest: int = 0, count: Count = uncounted
) -> ScoredText:
    """The log probabilities of an answer to a conversation. Raises Invalid, NotReady, Throttled, ModelFailed."""
    own = _own(target)
    encoded = await prompts.aside(prompt, lambda: prompts.encode_reference(own, prompt, reference))
    before, ids = encoded.prompt_ids, encoded.completion_ids
    scored = await _scored(own, [*before, *ids], likeliest, count)
    return ScoredText(before=tuple(before), first=None, logprobs=tuple(scored[len(before) - 1 :]))


async def score_prompt(
    target: TextTarget, prompt: RawPrompt | TokensPrompt, *, likeliest: int = 0, count: Count = uncounted
) -> ScoredText:
    """The log probabilities of a prompt as it stands, in whatever form the model is spoken to. Raises as above."""
    own = _own(target)
    ids = await prompts.aside(prompt, lambda: prompts.encode(own, prompt, as_it_stands=True))
    scored = await _scored(own, ids, likeliest, count)
    return ScoredText(before=(), first=ids[0], logprobs=tuple(scored))


def _own(target: TextTarget) -> Target:
    if isinstance(target, RemoteTarget):
        raise Invalid(
            f"{target.model_id}: a remote model's server tells no log probabilities of a text that it is given. Ask a "
            "model of this machine."
        )
    return target


async def _scored(target: Target, ids: Sequence[int], likeliest: int, count: Count) -> list[TokenLogprob]:
    if len(ids) > target.context_length:
        raise InputTooLong(
            f"Input is too long for requested model. The text has {len(ids)} tokens, and the model reads "
            f"{target.context_length} at most. Shorten the text."
        )
    async with target.allowance.one(len(ids), 0) as ticket:
        patience = EnginePatience(target.patience_s, target)
        while True:
            try:
                scored = await target.client.score_tokens(target.engine_model, list(ids), likeliest=likeliest)
                break
            except (EngineAway, UnknownAdapter) as problem:
                await patience.wait(problem)
        patience.is_over()
        ticket.used(len(ids), 0)
    count(len(ids), 0)
    return scored
