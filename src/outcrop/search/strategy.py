"""How a search goes: the strategy by which points are chosen, its objective, and the resources of Hyperband."""

from dataclasses import dataclass
from enum import StrEnum


class Strategy(StrEnum):
    """How the next point of a space is chosen."""

    BAYESIAN = "Bayesian"
    RANDOM = "Random"
    HYPERBAND = "Hyperband"
    GRID = "Grid"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The metric that is to be as small, or as large, as can be."""

    metric: str
    maximize: bool

    @property
    def type(self) -> str:
        return "Maximize" if self.maximize else "Minimize"

    def cost(self, value: float) -> float:
        """The value as a number of which less is better."""
        return -value if self.maximize else value


@dataclass(frozen=True, kw_only=True)
class HyperbandResources:
    """Numbers of values of the objective, which stand for epochs: before it none is stopped, and beyond it all are."""

    least: int
    most: int
