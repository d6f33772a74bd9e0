"""The choice among proposals: what holds for all of them."""

from hypothesis import given
from hypothesis import strategies as st

from outcrop.scaling.choosing import CapacityBounds, ScalingProposal, choose
from outcrop.scaling.resources import Capacity

COUNTS = st.integers(0, 12)


@given(
    wanted=st.lists(COUNTS, max_size=4),
    desired=COUNTS,
    ends=st.tuples(COUNTS, COUNTS),
    suspended=st.tuples(st.booleans(), st.booleans()),
    may_be_zero=st.booleans(),
    machine=st.none() | COUNTS,
)
def test_a_choice_moves_toward_the_largest_proposal_and_stays_within_bounds(
    wanted: list[int],
    desired: int,
    ends: tuple[int, int],
    suspended: tuple[bool, bool],
    may_be_zero: bool,
    machine: int | None,
) -> None:
    bounds = CapacityBounds(min(ends), max(ends), *suspended)
    capacity = Capacity(desired, desired, may_be_zero, machine)
    choice = choose([ScalingProposal(each, desired, "p", "c") for each in wanted], capacity, bounds)
    if choice is None:
        largest = max(wanted, default=desired)
        assert not wanted or (suspended[0] and largest > desired) or (suspended[1] and largest < desired)
        return
    assert (choice.set_to is None) != (choice.reason is None)
    if choice.set_to is None:
        return
    outward = choice.set_to > desired
    assert not suspended[0 if outward else 1]
    assert choice.proposal.wanted == max(wanted)
    if outward:
        assert choice.set_to <= min(bounds.most, max(wanted))
        assert machine is None or choice.set_to <= machine
    else:
        assert choice.set_to >= max(bounds.least, max(wanted))
        assert choice.set_to > 0 or may_be_zero
