"""A token bucket: so much a minute, and what was not taken lasts for a minute.

An amount is taken before it is known, and put right afterwards, so a bucket may be in debt. Whoever comes next waits
until that is paid: over any time, no more goes out than the rate and one bucket, beside what is still being worked on.
"""

from datetime import datetime

_MINUTE_S = 60.0
_ROUNDING = 1e-6
"Of a token: who has waited as long as was said finds enough."


class TokenBucket:
    """A bucket of `per_minute` tokens, filled at that rate. Not for several threads."""

    def __init__(self, per_minute: float, now: datetime) -> None:
        assert per_minute > 0, "a limit of nothing is a denial, which policies are for"
        self.per_minute = per_minute
        self._level = per_minute
        self._filled = now

    def resize(self, per_minute: float) -> None:
        """Give another rate to a bucket in use; its debt stays."""
        self._level = min(self._level, per_minute)
        self.per_minute = per_minute

    def wait_s(self, amount: float, now: datetime) -> float:
        """Seconds until so much can be taken; 0 where it can be now. More than a whole bucket waits for a full one."""
        self._fill(now)
        missing = min(amount, self.per_minute) - self._level
        return missing * _MINUTE_S / self.per_minute if missing > _ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Take so much, whatever is there."""
        self._level -= amount

    def put_back(self, amount: float) -> None:
        """Put back what was taken and not used; below 0, take what was used beyond it."""
        self._level = min(self._level + amount, self.per_minute)

    def left(self, now: datetime) -> float:
        """The amount that could be taken now."""
        self._fill(now)
        return max(0.0, self._level)

    def full_in_s(self, now: datetime) -> float:
        """Seconds until it is full again, if nobody takes anything."""
        self._fill(now)
        return (self.per_minute - self._level) * _MINUTE_S / self.per_minute

    def _fill(self, now: datetime) -> None:
        # A clock that was set back fills nothing, and takes nothing away.
        passed_s = max(0.0, (now - self._filled).total_seconds())
        self._level = min(self.per_minute, self._level + self.per_minute * passed_s / _MINUTE_S)
        self._filled = now
