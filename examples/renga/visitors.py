"""Visitors who go on asking while a component is changed, without a second try, so that each failure is seen."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .answers import Answerer


@dataclass
class AskedMeanwhile:
    """The requests that were sent meanwhile."""

    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def asking(answerer: Answerer, upper: str, *, visitors: int) -> Iterator[AskedMeanwhile]:
    """Inside the block, so many visitors ask without a pause; behind it, all of them have gone."""
    asked, over = AskedMeanwhile(), threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                asked.answers.append(answerer(upper))
            except Exception as error:  # whatever it is, it is a failed request, and is told as one
                asked.failures.append(str(error))

    threads = [threading.Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        over.set()
        for thread in threads:
            thread.join()
