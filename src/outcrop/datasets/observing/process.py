"""`python -m outcrop.datasets.observing.process`: the observers of a report's files, for `aside.py` at its pipes."""

import pickle
import sys
from contextlib import suppress

from outcrop.datasets.observing.aside import FOUND, ObserversHere
from outcrop.machine import collecting
from outcrop.machine.processes import die_with_parent


def main() -> None:
    """Answers until the other end is closed."""
    die_with_parent()
    said, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(EOFError), collecting.seldom():
        observers = ObserversHere(pickle.load(said))
        while True:
            what, number, given = pickle.load(said)
            found = observers.answer(what, number, given)
            if what == FOUND:
                pickle.dump(found, answers)
                answers.flush()


if __name__ == "__main__":
    main()
