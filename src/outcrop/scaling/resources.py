"""The counts of what is scaled, as its owner gives and takes them. Whoever hosts endpoints fulfils the Protocol.

Here that is `outcrop.sagemaker.hosting.scalable`, which `House.scalable_resources` hands out. The owner also writes the
points that policies follow: their names stand in `outcrop.scaling.predefined`.
"""

from typing import NamedTuple, Protocol

from outcrop.scaling.target_id import TargetId


class Capacity(NamedTuple):
    """The counts of one resource: instances of a variant, or copies of an inference component."""

    desired: int
    current: int
    "So many serve at this moment."
    may_be_zero: bool = False
    "Whether it can be scaled to nothing, and back."
    most: int | None = None
    "So many this machine allows; None where nothing is known of a bound."


class ScalableResources(Protocol):
    """The owner of the resources that are scaled."""

    def find(self, target: TargetId, *, region: str) -> Capacity | None:
        """The counts of a resource; None where there is no such thing, and its target is then deregistered.

        A resource whose record cannot be read is no missing one: raise what `store.damage` raises.
        """
        ...

    def set_desired(self, target: TargetId, count: int, *, region: str) -> None:
        """Let a resource have so many from now on; it need not be there when this returns.

        Called again with the same count after a crash. Raises Conflict, NotReady or Throttled where it cannot be at
        this moment (it is asked again), any other Refusal where it cannot be at all.
        """
        ...
