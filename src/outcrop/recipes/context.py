"""Records held against a base model: those that it cannot learn whole are left out."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from outcrop.datasets import shapes
from outcrop.datasets.encoding import encode
from outcrop.datasets.flaws import ShapeError
from outcrop.datasets.problems import Problem
from outcrop.recipes.recipe import Dropped, Item, Kept, kind_of_record
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class LearningModel:
    """A base model that is to learn the records."""

    name: str
    tokenizer: Tokenizer
    context_length: int
    prompt_format: PromptFormat

    def within(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, those left out that are longer than the context or hold what the tokenizer cannot write."""
        for item in items:
            yield self._checked(item) if isinstance(item, Kept) else item

    def _checked(self, item: Kept) -> Item:
        try:
            record = shapes.parse(dict(item.record), line=1, customization=kind_of_record(item.record))
        except ShapeError:
            return item  # told when it is written
        found = encode(
            record,
            self.tokenizer,
            context_length=self.context_length,
            name=item.origin,
            prompt_format=self.prompt_format,
        )
        if not isinstance(found, Problem):
            return item
        return Dropped(origin=item.origin, reason=f"too long for {self.name}, or not learned by it", detail=found.what)
