"""Sample records by which two networks are compared where no held-out data is at hand.

Prose, a question, a list, code, and another script.
"""

import torch

from outcrop.errors import Invalid
from outcrop.tokens.prompt_format import PromptFormat, encode_pair
from outcrop.tokens.tokenizer import Tokenizer
from outcrop.training.examples import Example

PAIRS = (
    ("What grows on a rocky hill by the sea?", "Thyme, heather and a little grass, where the wind lets it."),
    ("Summarize: The ferry left at nine. It was late.", "The ferry left late, at nine."),
    ("Name three colours of the evening sky.", "Orange, rose and a deep blue."),
    ("def area(width, height):", "\n    return width * height"),
    ("春の朝、港に何が見えますか。", "白い船と、霧の向こうの山が見えます。"),
)


def sample_examples(tokenizer: Tokenizer, prompt_format: str, *, context_length: int) -> list[Example]:
    """The samples as a model of this format learns them, as far as its context has room for them.

    Raises Invalid where no sample fits.
    """
    form = PromptFormat(prompt_format)
    found = [_example(tokenizer, prompt, completion, form) for prompt, completion in PAIRS]
    fitting = [example for example in found if 1 < len(example) <= context_length]
    if not fitting:
        raise Invalid(f"a context of {context_length} tokens has no room for a sample. Choose a model of a longer one.")
    return fitting


def _example(tokenizer: Tokenizer, prompt: str, completion: str, form: PromptFormat) -> Example:
    pair = encode_pair(tokenizer, prompt, completion, form)
    ids_T = torch.tensor([*pair.prompt_ids, *pair.completion_ids])
    first = max(1, len(pair.prompt_ids))
    at_N = torch.arange(first - 1, len(ids_T) - 1)
    return Example(ids_T=ids_T, at_N=at_N, target_N=ids_T[first:], num_bytes=0, line=0)
