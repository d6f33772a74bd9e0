"""Patience of jobs that ask models: what passes is waited for, a question's own error comes back.

An engine that is being started and a quota that is used up pass: a job is in no hurry.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from outcrop.errors import ModelFailed, NotReady, OutcropError, Throttled, Unavailable

MOST_FAILURES = 3
"Times that a model may break over one question before that question has an error."
_PAUSES_S = (0.5, 1.0, 2.0, 5.0)
_Answer = TypeVar("_Answer")


async def patiently(
    ask: Callable[[], Awaitable[_Answer]], *, again: Callable[[], Awaitable[None]]
) -> _Answer | OutcropError:
    """The answer to one question, or the error that keeps it from having one.

    `again` is awaited before a question is asked anew: it finds the model that was away. Raises what it raises, any
    defect, and Unavailable: the database is away, and the job waits for it.
    """
    failures = pauses = 0
    while True:
        try:
            return await ask()
        except ModelFailed as failed:
            failures += 1
            if failures == MOST_FAILURES:
                return failed
            await asyncio.sleep(_PAUSES_S[0])
        except (NotReady, Throttled) as passing:
            pause = _PAUSES_S[min(pauses, len(_PAUSES_S) - 1)]
            await asyncio.sleep(passing.retry_after_s if isinstance(passing, Throttled) else pause)
            pauses += 1
        except Unavailable:
            raise
        except OutcropError as refused:
            return refused
        await again()
