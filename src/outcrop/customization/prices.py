"""The user's price list, `prices.toml` in the home: jobs and answers cost by tokens, by the hour, or both.

    currency = "USD"

    ["outcrop.starter-v1"]
    per_1000_tokens = 0.0008          # tokens of the training file x epochs
    per_hour = 1.20                   # of this machine, training or answering
    per_1000_input_tokens = 0.0003    # of answers
    per_1000_output_tokens = 0.0004

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
_RATES = ("per_1000_tokens", "per_hour", "per_1000_input_tokens", "per_1000_output_tokens")


class PriceRates(NamedTuple):
    """The rates by which a base model is paid for."""

    per_1000_tokens: float
    per_hour: float
    per_1000_input_tokens: float
    per_1000_output_tokens: float

    def training(self, *, tokens: int, seconds: float) -> float:
        """The price of training."""
        return tokens / 1000 * self.per_1000_tokens + seconds / 3600 * self.per_hour

    def answers(self, *, input_tokens: float, output_tokens: float, seconds: float) -> float:
        """The price of answers."""
        read, written = input_tokens * self.per_1000_input_tokens, output_tokens * self.per_1000_output_tokens
        return (read + written) / 1000 + seconds / 3600 * self.per_hour


class ListedRates(NamedTuple):
    """The rates that a price list has for a base model, and their currency."""

    currency: str
    rates: PriceRates


def rates_of(path: Path, base_id: str) -> ListedRates | str:
    """The rates for a base model, or the sentence that says why there are none."""
    if not path.exists():
        return f"no price list: write {FILE} into the home to have one"
    try:
        currency, rates = _read(path, base_id)
    except Invalid as problem:
        return problem.message
    if rates is None:
        return f'{FILE} names neither {base_id} nor "{_EVERY}"'
    return ListedRates(currency, rates)


def price_of(home: Path, base_id: str, *, tokens: int, seconds: float | None) -> Price | str:
    """The price of a job, or the sentence that says why there is none. `seconds` is None where no time is predicted."""
    listed = rates_of(home / FILE, base_id)
    if isinstance(listed, str):
        return listed
    currency, rates = listed
    if rates.per_hour and seconds is None:
        return f"{FILE} counts hours, and no time is predicted"
    hours = (seconds or 0.0) / 3600
    parts = []
    if rates.per_1000_tokens:
        parts.append(f"{tokens:,} tokens (of the file x epochs) at {rates.per_1000_tokens:g} a thousand")
    if rates.per_hour:
        parts.append(f"{hours:.2f} hours at {rates.per_hour:g}")
    amount = rates.training(tokens=tokens, seconds=seconds or 0.0)
    return Price(amount=amount, currency=currency, told=" + ".join(parts) or "it costs nothing")


def _read(path: Path, base_id: str) -> tuple[str, PriceRates | None]:
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise Invalid(f"{FILE}: cannot be read: {problem}. Mend the file, or remove it.") from problem
    found = table.get(base_id, table.get(_EVERY))
    currency = str(table.get("currency", ""))[:12]
    if found is None:
        return currency, None
    if not isinstance(found, dict) or not found.keys() <= set(_RATES) or not all(map(_is_rate, found.values())):
        raise Invalid(f'{FILE}: ["{base_id}"] takes {", ".join(_RATES)}: numbers from 0. Mend the file.')
    return currency, PriceRates(*(float(found.get(rate, 0.0)) for rate in _RATES))


def _is_rate(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
