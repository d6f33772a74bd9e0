"""The memory budget: who is admitted, who goes, and who waits for what. A pure decision; `sharing.py` carries it out.

What starts is admitted by its estimate, in the order of asking. What is idle longest goes first. A training, an engine
of provisioned throughput and one that has just started stay. An engine in use goes only for somebody who has waited for
`FAIR_AFTER`, and then with the last of the requests it has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from outcrop.machine import memory
from outcrop.settings import Settings

FAIR_AFTER = timedelta(seconds=20)
"So long somebody waits for engines in use; an invocation waits for a minute in all."
_GIB = 2**30
_RESERVE_BYTES = _GIB
_RESERVE_SHARE = 10
"A tenth of the memory stays to the system and to the server, a GiB at least."
_MOST_NAMED = 4


@dataclass(frozen=True, kw_only=True)
class MemoryHolder:
    """A process that holds memory of the budget."""

    name: str
    title: str
    "As a sentence names it."
    num_bytes: int
    stays: str | None = None
    "Why it is not pushed out; None: it may go."
    idle_since: datetime | None = None
    "None: it is in use."
    leaving: bool = False
    "It goes already; its memory is free once it is gone."


@dataclass(frozen=True, kw_only=True)
class MemoryRequest:
    """A process that is to start, or to grow, by so many bytes."""

    name: str
    title: str
    num_bytes: int
    since: datetime


@dataclass(frozen=True, kw_only=True)
class MemoryDecision:
    """The decision on what is to be done with the memory now."""

    admitted: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    "In the order in which they go."
    waiting: Mapping[str, str] = field(default_factory=dict)
    "By name, a sentence that says for what."
    refused: Mapping[str, str] = field(default_factory=dict)
    "What is larger than the whole budget, and why it never starts."


def budget_of(settings: Settings) -> int:
    """Bytes that engines and trainings may hold together."""
    if settings.memory_limit:
        return settings.memory_limit
    total = memory.total()
    return max(total // 2, total - max(_RESERVE_BYTES, total // _RESERVE_SHARE))


def decide(
    budget: int, holders: Sequence[MemoryHolder], askers: Sequence[MemoryRequest], *, now: datetime
) -> MemoryDecision:
    """Share `budget` bytes among those that hold and those that ask."""
    room = _Room(budget, holders)
    room.relieve()
    admitted, waiting, refused = [], {}, {}
    for asker in sorted(askers, key=lambda asker: (asker.since, asker.name)):
        if asker.num_bytes > budget:
            refused[asker.name] = _too_large(asker, budget)
        elif asker.num_bytes <= room.free:
            room.free -= asker.num_bytes
            admitted.append(asker.name)
        elif room.make(asker.num_bytes, also_used=now - asker.since >= FAIR_AFTER):
            waiting[asker.name] = _room_is_made(asker, room.titles)
        else:
            waiting[asker.name] = _held(asker, budget, holders)
    return MemoryDecision(admitted=tuple(admitted), leaving=tuple(room.gone), waiting=waiting, refused=refused)


class _Room:
    """The memory in the course of a decision: free, coming from those that leave, and who may leave yet."""

    def __init__(self, budget: int, holders: Sequence[MemoryHolder]) -> None:
        self.free = budget - sum(holder.num_bytes for holder in holders)
        "Below 0 where engines have grown while they worked."
        self.coming = sum(holder.num_bytes for holder in holders if holder.leaving)
        self.gone: list[str] = []
        self.titles = [holder.title for holder in holders if holder.leaving]
        movable = [holder for holder in holders if holder.stays is None and not holder.leaving]
        self._idle = sorted((holder for holder in movable if holder.idle_since is not None), key=_idle_longest)
        self._used = sorted((holder for holder in movable if holder.idle_since is None), key=lambda holder: holder.name)

    def relieve(self) -> None:
        """Let idle ones go until what is held fits again, as far as there are any."""
        self._let_go(self._first(self._idle, -self.free))

    def make(self, num_bytes: int, *, also_used: bool) -> bool:
        """Keep so many bytes of what is free and what comes, letting others go for it. False where they are too few."""
        missing = num_bytes - self.free
        chosen = self._first([*self._idle, *(self._used if also_used else [])], missing)
        if missing > self.coming + sum(holder.num_bytes for holder in chosen):
            return False
        self._let_go(chosen)
        self.coming -= missing
        self.free = 0
        return True

    def _first(self, candidates: Sequence[MemoryHolder], missing: int) -> list[MemoryHolder]:
        """The first candidates, in order, as many as are needed beside what comes already."""
        chosen: list[MemoryHolder] = []
        coming = self.coming
        for holder in candidates:
            if missing <= coming:
                break
            chosen.append(holder)
            coming += holder.num_bytes
        return chosen

    def _let_go(self, chosen: Sequence[MemoryHolder]) -> None:
        for holder in chosen:
            (self._used if holder.idle_since is None else self._idle).remove(holder)
            self.gone.append(holder.name)
            self.titles.append(holder.title)
            self.coming += holder.num_bytes


def _idle_longest(holder: MemoryHolder) -> tuple[datetime, str]:
    assert holder.idle_since is not None, "only idle ones are put in order"
    return holder.idle_since, holder.name


def _too_large(asker: MemoryRequest, budget: int) -> str:
    return (
        f"{_capital(asker.title)} needs about {gib(asker.num_bytes)} of memory, and engines and trainings may hold "
        f"{gib(budget)} in all. Choose a smaller model, or raise OUTCROP_MEMORY_LIMIT where the machine has more."
    )


def _room_is_made(asker: MemoryRequest, leaving: Sequence[str]) -> str:
    ended = "has ended" if len(leaving) == 1 else "have ended"
    return f"{_capital(asker.title)} waits for {gib(asker.num_bytes)} of memory, until {_list(leaving)} {ended}."


def _held(asker: MemoryRequest, budget: int, holders: Sequence[MemoryHolder]) -> str:
    held = sum(holder.num_bytes for holder in holders)
    largest = sorted(holders, key=lambda holder: -holder.num_bytes)
    told = [f"{one.title} ({gib(one.num_bytes)}, {one.stays or _use(one)})" for one in largest]
    return (
        f"{_capital(asker.title)} waits for {gib(asker.num_bytes)} of memory; {gib(held)} of {gib(budget)} are held, "
        f"by {_list(told)}."
    )


def _use(holder: MemoryHolder) -> str:
    if holder.leaving:
        return "ending"
    return "in use" if holder.idle_since is None else "idle"


def _list(titles: Sequence[str]) -> str:
    shown = list(titles[:_MOST_NAMED])
    if len(titles) > _MOST_NAMED:
        shown.append(f"{len(titles) - _MOST_NAMED} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _capital(title: str) -> str:
    return title[:1].upper() + title[1:]


def gib(num_bytes: int) -> str:
    """Bytes as a person reads them."""
    return f"{num_bytes / _GIB:.1f} GiB" if num_bytes >= _GIB else f"{num_bytes / 2**20:.0f} MiB"
