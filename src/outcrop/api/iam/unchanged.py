"""IAM names users, roles and groups by names, which may come to mean another between the decision and the work.

Every operation of IAM works on what was decided on, or answers ConcurrentModification, as IAM does.
"""

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.house import House

_READS = ("Get", "List", "Simulate", "Generate")


def unchanged(operation: str, handler: Handler) -> Handler:
    """The handler, held to what was decided on: a write in one transaction with the look, a read looks afterwards."""

    def read(house: House, call: Call) -> Answered:
        answered = handler(house, call)
        house.access.assert_same(call)
        return _plain(answered)

    def write(house: House, call: Call) -> Answered:
        with house.access.identities.records.alone():
            house.access.assert_same(call)
            return _plain(handler(house, call))

    return read if operation.startswith(_READS) else write


def _plain(answered: object) -> Answered:
    assert isinstance(answered, dict), "handlers of IAM are plain functions that answer with members"
    return answered
