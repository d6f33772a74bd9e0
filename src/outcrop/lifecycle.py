"""States of a kind of resource, and the table of what may follow what. The states are an enum in the service model's
words.

Jobs, deployments, engines and every later resource keep theirs in a `Lifecycle`; nothing else decides a transition.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Generic, TypeVar

from outcrop.errors import Conflict

State = TypeVar("State", bound=StrEnum)


class Lifecycle(Generic[State]):
    """The transitions of one kind of resource; a state that nothing follows is an end."""

    def __init__(self, following: Mapping[State, AbstractSet[State]]) -> None:
        """`following` names every state of the enum, each with the states that may come next."""
        states = {type(state) for state in following}
        assert len(states) == 1, "the states are of one enum"
        self.states: tuple[State, ...] = tuple(states.pop())
        assert set(self.states) == set(following), "every state has a line in the table"
        self._following = {state: frozenset(then) for state, then in following.items()}

    @property
    def ended(self) -> frozenset[State]:
        """States that nothing follows."""
        return frozenset(state for state, then in self._following.items() if not then)

    @property
    def running(self) -> frozenset[State]:
        """States that something follows."""
        return frozenset(self.states) - self.ended

    def following(self, state: State) -> frozenset[State]:
        return self._following[state]

    def check(self, resource: str, now: State, then: State) -> None:
        """Raises Conflict for a transition that the table does not know."""
        if then not in self._following[now]:
            raise Conflict(f"{resource}: it is {now} and cannot become {then}.")
