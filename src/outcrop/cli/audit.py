"""`outcrop audit`: who did what, searched in the record of calls; and whether that record is what it was.

The record lies in the home, whose owner runs this. Everybody else asks CloudTrail's LookupEvents, under their rights.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from outcrop import settings as settings_of
from outcrop.audit.audit import ChainCheck
from outcrop.audit.event_form import event_of, resources_of, services_of, user_name, user_name_of
from outcrop.audit.records import Link, Recorded, Search
from outcrop.cli import tables
from outcrop.cli.options import AsJson, Home, check_begun
from outcrop.clock import SystemClock
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.protocol import service_model
from outcrop.settings import Settings
from outcrop.trails.verification import TrailCheck, TrailVerifier

app = App(name="audit", help="Search the record of calls: who did what, when, on what. Verify that nobody changed it.")
_COLUMNS = ["time (UTC)", "who", "what", "on", "result"]
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_KNOWN = re.compile(r"(\d{1,18}):([0-9a-f]{64})")


@app.default
def search(
    *,
    who: Annotated[str | None, Parameter(help="A user, the session of a role, or an ARN.")] = None,
    what: Annotated[str | None, Parameter(help="An operation, as DeleteCustomModel, or a service, as iam.")] = None,
    since: Annotated[str | None, Parameter(help="A time as 2026-12-01T10:00, or how long ago: 30m, 2h, 7d.")] = None,
    until: Annotated[str | None, Parameter(help="Likewise.")] = None,
    on: Annotated[str | None, Parameter(help="A resource, by its ARN or name.")] = None,
    key: Annotated[str | None, Parameter(help="The id of an access key.")] = None,
    request: Annotated[str | None, Parameter(help="The id of a request.")] = None,
    code: Annotated[str | None, Parameter(help="An error code, as AccessDenied.")] = None,
    errors: Annotated[bool, Parameter(negative="", help="Only what failed.")] = False,
    changes: Annotated[bool, Parameter(negative="", help="Only what changes something, not reads.")] = False,
    region: Annotated[str | None, Parameter(help="Only what was asked for in this region.")] = None,
    most: Annotated[int, Parameter(help="So many at most, the newest ones.")] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Search the record of calls, the newest first."""
    if most < 1:
        raise Invalid(f"--most: {most} is less than 1. Ask for one entry at the least.")
    with _house(settings_of.read(home=home)) as house:
        now = house.clock.now()
        services, operation = _asked(what)
        asked = Search(
            since=_moment("--since", since, now),
            until=_moment("--until", until, now),
            services=services,
            operation=operation,
            callers=None if who is None else _callers(house, who),
            resources=() if on is None else tuple(house.audit.named_resources(on)),
            request_id=request,
            region=region,
            key_id=key,
            code=code,
            failed=True if errors else None,
            read_only=False if changes else None,
        )
        found = [] if on is not None and not asked.resources else house.audit.search(asked, most=most)
        account = house.account
    if as_json:
        print(json.dumps([_as_json(each, account) for each in found], indent=2, ensure_ascii=False))
        return 0
    if not found:
        print("Nothing in the record fits.")
        return 0
    return tables.print_rows(_COLUMNS, [_row(each) for each in found], as_json=False)


@app.command
def verify(
    *,
    known: Annotated[
        str | None, Parameter(help="An end of the record that was printed here before, and kept elsewhere.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
) -> int:
    """Verify the record of calls, and the files that trails delivered.

    The exit code is 1 where anything was touched.
    """
    noted = None if known is None else _link(known)
    with _house(settings_of.read(home=home)) as house:
        chain, last = house.audit.verify(noted), house.audit.last()
        trails = house.trails.all()
        verifier = TrailVerifier(house.buckets, house.trails.progress, house.trail_keys.all(), trails, house.account)
        checks = [verifier.verify(trail) for trail in trails if trail.is_validated]
    sound = chain.broken is None and not any(check.problems for check in checks)
    if as_json:
        print(json.dumps(_verified(chain, last, checks), indent=2))
    else:
        for line in _told(chain, last, checks):
            print(line)
    return 0 if sound else 1


@contextmanager
def _house(settings: Settings) -> Iterator[House]:
    check_begun(settings)
    with House.open(settings, SystemClock()) as house:
        yield house


def _asked(what: str | None) -> tuple[tuple[str, ...], str | None]:
    """The services, or the operation, that a word means."""
    if what is None:
        return (), None
    if what in service_model.SERVICES:
        return (what,), None
    return (services_of(what), None) if "." in what else ((), what)


def _callers(house: House, who: str) -> tuple[str, ...]:
    if who.startswith("arn:"):
        return (who,)
    return tuple(caller for caller in house.audit.callers() if user_name_of(caller) == who)


def _moment(option: str, text: str | None, now: datetime) -> datetime | None:
    if text is None:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Invalid(
            f"{option}: {text[:40]!r} is no time. Give one as 2026-12-01T10:00 (UTC), or how long ago: 30m, 2h, 7d."
        ) from error
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def _link(text: str) -> Link:
    found = _KNOWN.fullmatch(text.strip())
    if found is None:
        raise Invalid("--known: give the end as it was printed, NUMBER:DIGEST with 64 hexadecimal digits.")
    return Link(int(found[1]), bytes.fromhex(found[2]))


def _row(recorded: Recorded) -> list[str]:
    entry = recorded.entry
    named = [resource.name for resource in resources_of(entry)]
    on = named[0] + (f" +{len(named) - 1}" if len(named) > 1 else "") if named else ""
    times = f" x{entry.times}" if entry.times > 1 else ""
    who = user_name(entry) or entry.key_id or "nobody known"
    return [f"{entry.at:%Y-%m-%d %H:%M:%S}", who, entry.operation + times, on, entry.code or "ok"]


def _as_json(recorded: Recorded, account: str) -> dict[str, object]:
    return {"number": recorded.link.number, **event_of(recorded.entry, account)}


def _written(link: Link) -> str:
    return f"{link.number}:{link.digest.hex()}"


def _verified(chain: ChainCheck, last: Link, checks: list[TrailCheck]) -> dict[str, object]:
    return {
        "record": {
            "sound": chain.broken is None,
            "problem": chain.broken,
            "entries": chain.entries,
            "first": chain.first,
            "last": chain.last,
            "end": _written(last),
        },
        "trails": [
            {"trail": check.trail, "digests": check.digests, "files": check.files, "problems": check.problems}
            for check in checks
        ],
    }


def _told(chain: ChainCheck, last: Link, checks: list[TrailCheck]) -> Iterator[str]:
    if chain.broken is not None:
        yield f"The record was touched: {chain.broken}."
        yield f"Its {chain.entries:,} entries before that, {chain.first} to {chain.last}, are as they were written."
    elif not chain.entries:
        yield "The record is empty."
    else:
        yield f"The record is as it was written: {chain.entries:,} entries, {chain.first} to {chain.last}."
        yield "Keep its end elsewhere, and give it to --known another time:"
        yield f"  {_written(last)}"
    for check in checks:
        name = check.trail.rpartition("/")[2]
        if not check.problems:
            yield f"Trail {name}: {check.digests} digests and {check.files} log files are as they were delivered."
        for problem in check.problems:
            yield f"Trail {name}: {problem}."
