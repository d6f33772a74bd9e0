"""The `outcrop` command: starting, the catalogue, and looking at what is there. What it does to records goes through
the API, as boto3 would. Exit codes: 0, 1 (the work failed), 2 (asked wrongly), 130 (Ctrl-C), 141 (nobody reads on).
"""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress


def main() -> None:
    """Entry point; whatever goes wrong ends here as a sentence, not as a traceback."""
    if sys.version_info < (3, 11):  # noqa: UP036 (pip refuses too, but a copied folder does not)
        sys.exit(f"Outcrop needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """The exit code of a command; everything it has to say is said."""
    _print_any_text()
    try:
        code = _run(arguments)
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except BaseException as error:
        return _ended(error)
    return code if isinstance(code, int) else 0


def _run(arguments: Sequence[str]) -> object:
    # Here, and not above: whoever presses Ctrl-C while much is imported sees no traceback either.
    from outcrop.machine import prepared

    if arguments[:1] in (["up"], ["run"]):
        prepared.begin("outcrop.server.serve")
    try:
        from outcrop import private
        from outcrop.cli.commands import app

        private.only_ours()
        code: object = app(list(arguments), result_action="return_value", exit_on_error=False, print_error=False)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader who went away is no surprise
        return code
    finally:
        prepared.drop()


def _ended(error: BaseException) -> int:
    import signal

    with suppress(ValueError):  # not the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the second Ctrl-C of somebody who wants out
    from outcrop.cli.failing import failure

    found = failure(error)
    if found.sentence and sys.stderr is not None:
        with suppress(OSError, ValueError):
            print(f"outcrop: {found.sentence}", file=sys.stderr, flush=True)
    _drop_unwritten()
    return found.code


def _print_any_text() -> None:
    """A terminal that cannot show a character gets its escape; the command does not fail over it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_unwritten() -> None:
    """Drop output that nobody takes any more, so that it is not tried again when the process ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
