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
    """Environment variables of an engine: a thread spins for some microseconds, then sleeps.

    So long torch takes to its next operation.

    Sleeping at once made prompts of 1,024 tokens take half as long again. Spinning as long as in training made a
    decoding step take a fifth longer: the threads of the compiled step need the cores (2 cores, 26 million
    parameters, idle; 2,000 and 20,000 turns were alike).
    """
    return {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "5000")}
