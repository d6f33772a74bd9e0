"""How OpenMP's threads wait for their next piece of work. They read it once, when torch is imported.

What a user has set stays.
"""

import os


def for_training() -> dict[str, str]:
    """Environment variables of a process that trains: a thread spins for a moment, then sleeps.

    On a crowded machine, spinning on made a step several times slower; sleeping at once costs a third of the speed
    when nothing else runs. What this value does on a crowded machine was not measured by itself.
    """
    return {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "100000")}


def for_serving() -> dict[str, str]:
    """Environment variables of an engine: a thread sleeps at once.

    On a machine that also trains, spinning made an 8 × 256 × 704 product take 3.8 ms instead of 0.46 ms (2 cores,
    load 8).
    """
    return {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
