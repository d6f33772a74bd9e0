"""The `outcrop` command: starting, the catalogue, and looking at what is there. What it does to records goes through
the API, as boto3 would. Exit codes: 0, 1 (the work failed), 2 (asked wrongly).
"""

import sys

from outcrop import private
from outcrop.errors import MachineTrouble, OutcropError


def main() -> None:
    """Entry point; every sentence of our own ends here as a sentence, not as a traceback."""
    if sys.version_info < (3, 11):  # noqa: UP036 (pip refuses too, but a copied folder does not)
        sys.exit(f"Outcrop needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    from outcrop.cli.commands import app

    private.only_ours()
    try:
        code = app(result_action="return_value")
    except MachineTrouble as trouble:
        _say(trouble)
        sys.exit(1)
    except OutcropError as refusal:
        _say(refusal)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _say(error: OutcropError) -> None:
    print(f"outcrop: {error.message}", file=sys.stderr)


if __name__ == "__main__":
    main()
