"""The headers that tell OpenAI's clients what is left of their limits.

https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
"""

from collections.abc import Mapping


def rate_headers(rates: Mapping[str, float]) -> dict[str, str]:
    """`rates` is what a ticket of admission tells; headers of what is not limited are left out."""
    headers = {}
    for what in ("requests", "tokens"):
        if f"limit_{what}" in rates:
            headers[f"x-ratelimit-limit-{what}"] = str(int(rates[f"limit_{what}"]))
            headers[f"x-ratelimit-remaining-{what}"] = str(max(0, int(rates[f"remaining_{what}"])))
            headers[f"x-ratelimit-reset-{what}"] = duration(rates[f"reset_{what}_s"])
    return headers


def duration(seconds: float) -> str:
    """A duration as OpenAI writes it: 6m0s, 1.5s, 20ms."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    shown = f"{rest:.3f}".rstrip("0").rstrip(".") + "s"
    return f"{int(minutes)}m{shown}" if minutes else shown
