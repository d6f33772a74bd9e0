"""The tables of docs/training.md: `python -m outcrop.customization.choices.hyperparameters_page` prints them."""

from outcrop.customization.choices.hyperparameters import Allowed, read_family

_FAMILIES = {
    "outcrop": "models registered or pulled here",
    "titan-text": "Titan Text Lite, Express",
    "titan-premier": "Titan Text Premier",
    "cohere": "Cohere Command, Command Light",
    "llama": "Llama",
    "claude": "Claude 3 Haiku",
    "nova": "Nova Micro, Lite, Pro",
}


def tables() -> str:
    """The providers' names, then ours, as Markdown."""
    theirs = [_row(name, key, value) for key, name in _FAMILIES.items() for key, value in _allowed(key)]
    ours = [f"| `{key}` | {value.range} | {value.default} | {value.means} |\n" for key, value in _allowed("extra")]
    return (
        "| models | name | range | default |\n|---|---|---|---|\n"
        + "".join(theirs)
        + "\n| name | range | default | what it does |\n|---|---|---|---|\n"
        + "".join(ours)
    )


def _allowed(family: str) -> list[tuple[str, Allowed]]:
    return list(read_family(family).allowed.items())


def _row(models: str, name: str, value: Allowed) -> str:
    return f"| {models} | `{name}` | {value.range} | {value.default} |\n"


if __name__ == "__main__":
    print(tables(), end="")
