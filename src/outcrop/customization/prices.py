"""The user's price list, `prices.toml` in the home: jobs cost by tokens, by the hour, or both.

    currency = "USD"

    ["outcrop.starter-v1"]
    per_1000_tokens = 0.0008   # tokens of the training file x epochs
    per_hour = 1.20            # of this machine

    ["*"]                      # every other base model
    per_hour = 1.20

No price is built in: nobody but its user knows what a machine costs.
"""

import tomllib
from pathlib import Path
from typing import Any, NamedTuple

from outcrop.datasets.report.value import Price
from outcrop.errors import Invalid

FILE = "prices.toml"
_EVERY = "*"
_RATES = ("per_1000_tokens", "per_hour")


class _Rates(NamedTuple):
    """The rates by which a base model is paid for."""

    per_1000_tokens: float
    per_hour: float


def price_of(home: Path, base_id: str, *, tokens: int, seconds: float | None) -> Price | str:
    """The price of a job, or the sentence that says why there is none. `seconds` is None where no time is predicted."""
    path = home / FILE
    if not path.exists():
        return f"no price list: write {FILE} into the home to have one"
    try:
        currency, rates = _read(path, base_id)
    except Invalid as problem:
        return problem.message
    if rates is None:
        return f'{FILE} names neither {base_id} nor "{_EVERY}"'
    if rates.per_hour and seconds is None:
        return f"{FILE} counts hours, and no time is predicted"
    hours = (seconds or 0.0) / 3600
    parts = []
    if rates.per_1000_tokens:
        parts.append(f"{tokens:,} tokens (of the file x epochs) at {rates.per_1000_tokens:g} a thousand")
    if rates.per_hour:
        parts.append(f"{hours:.2f} hours at {rates.per_hour:g}")
    amount = tokens / 1000 * rates.per_1000_tokens + hours * rates.per_hour
    return Price(amount=amount, currency=currency, told=" + ".join(parts) or "it costs nothing")


def _read(path: Path, base_id: str) -> tuple[str, _Rates | None]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Invalid(f"{FILE}: cannot be read: {problem}. Mend the file, or remove it.") from problem
    found = table.get(base_id, table.get(_EVERY))
    currency = str(table.get("currency", ""))[:12]
    if found is None:
        return currency, None
    if not isinstance(found, dict) or not found.keys() <= set(_RATES) or not all(map(_is_rate, found.values())):
        raise Invalid(f'{FILE}: ["{base_id}"] takes {" and ".join(_RATES)}, numbers from 0. Mend the file.')
    return currency, _Rates(*(float(found.get(rate, 0.0)) for rate in _RATES))


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
