"""`outcrop quotas`: how many requests and tokens a minute users, roles, keys and models may take, and model units.

Quotas lie in the records of the home, where a running server finds them with its next request. They are the machine's
administrator's, who owns the home; no operation of the API changes them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from cyclopts import App, Parameter

from outcrop import settings as settings_of
from outcrop.access.names import Kind
from outcrop.catalog import imported_models
from outcrop.cli import tables
from outcrop.cli.options import AsJson, Home, check_begun
from outcrop.clock import SystemClock
from outcrop.deployments.states import ON_DEMAND
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.invocation.quotas import EVERYONE, Quota, Scope
from outcrop.settings import Settings

app = App(name="quotas", help="Limit requests and tokens a minute; see what a model unit is on this machine.")

User = Annotated[str | None, Parameter(help="Name of a user; `*`: each user who has no quota of their own.")]
Role = Annotated[str | None, Parameter(help="Name of a role, whichever its sessions; or `*`.")]
Key = Annotated[str | None, Parameter(help="Id of an access key, or of an API key of Bedrock; or `*`.")]
Model = Annotated[
    str | None,
    Parameter(help="A base model with its on-demand deployments; a deployment or imported model; or `*`."),
]
_COLUMNS = ["quota of", "name", "requests a minute", "tokens a minute"]
_UNIT_COLUMNS = ["network", "tokens a minute", "of one unit", "units taken", "measured (UTC)"]


@app.default
def overview(*, home: Home = None, as_json: AsJson = False) -> int:
    """List the quotas, of users, roles, keys and models."""
    with _house(settings_of.read(home=home)) as house:
        rows = [
            [quota.scope.value, quota.name, _number(quota.requests_per_minute), _number(quota.tokens_per_minute)]
            for quota in house.quotas.all()
        ]
    return tables.print_rows(_COLUMNS, rows, as_json=as_json)


@app.command(name="set")
def set_quota(
    *,
    user: User = None,
    role: Role = None,
    key: Key = None,
    model: Model = None,
    requests: Annotated[int | None, Parameter(help="Requests a minute.")] = None,
    tokens: Annotated[int | None, Parameter(help="Tokens a minute, those of prompts and answers together.")] = None,
    home: Home = None,
) -> int:
    """Set a quota, in the place of an earlier one; it holds from the next request on."""
    with _house(settings_of.read(home=home)) as house:
        scope, name = _subject(house, user, role, key, model)
        house.quotas.set(Quota(scope=scope, name=name, requests_per_minute=requests, tokens_per_minute=tokens))
    limits = [f"{number:,} {what}" for number, what in ((requests, "requests"), (tokens, "tokens")) if number]
    print(f"The {scope} {name} may take {' and '.join(limits)} a minute.")
    return 0


@app.command
def remove(*, user: User = None, role: Role = None, key: Key = None, model: Model = None, home: Home = None) -> int:
    """Remove a quota; nothing limits its subject any more, but a quota of `*`."""
    with _house(settings_of.read(home=home)) as house:
        scope, name = _given(user, role, key, model)
        names = dict.fromkeys([name, *([_model_name(house, name)] if scope is Scope.MODEL else [])])
        if not any(house.quotas.remove(scope, each) for each in names if each):
            raise NotFound(f"{scope} {name}: there is no such quota. `outcrop quotas` lists those there are.")
    print(f"The {scope} {name} has no quota any more.")
    return 0


@app.command
def units(*, home: Home = None, as_json: AsJson = False) -> int:
    """List what a model unit of provisioned throughput is, by network: tokens a minute, as this machine measured."""
    with _house(settings_of.read(home=home)) as house:
        taken = house.units.taken()
        rows = [
            [
                rate.network,
                f"{rate.tokens_per_minute:,.0f}",
                f"{rate.tokens_per_minute / house.units.num_units:,.0f}",
                f"{taken} of {house.units.num_units}",
                f"{rate.measured:%Y-%m-%d %H:%M}",
            ]
            for rate in house.units.all()
        ]
    return tables.print_rows(_UNIT_COLUMNS, rows, as_json=as_json)


@app.command(name="measure-again")
def measure_again(network: str, *, home: Home = None) -> int:
    """Forget what was measured of NETWORK; the next provisioned throughput over it is measured before it serves."""
    with _house(settings_of.read(home=home)) as house:
        if not house.units.forget(network):
            raise NotFound(f"{network}: it was not measured. `outcrop quotas units` lists those that were.")
    print(f"{network} is measured with the next provisioned throughput, made or updated. Until then nothing limits it.")
    return 0


@contextmanager
def _house(settings: Settings) -> Iterator[House]:
    check_begun(settings)
    with House.open(settings, SystemClock()) as house:
        yield house


def _given(user: str | None, role: str | None, key: str | None, model: str | None) -> tuple[Scope, str]:
    given = [(Scope.USER, user), (Scope.ROLE, role), (Scope.KEY, key), (Scope.MODEL, model)]
    named = [(scope, name) for scope, name in given if name]
    if len(named) != 1:
        raise Invalid("Say whose quota it is: one of --user, --role, --key and --model.")
    return named[0]


def _subject(house: House, user: str | None, role: str | None, key: str | None, model: str | None) -> tuple[Scope, str]:
    """The subject of a new quota. Raises Invalid or NotFound for one that is not there: nobody would notice."""
    scope, name = _given(user, role, key, model)
    if name == EVERYONE:
        return scope, name
    if scope in (Scope.USER, Scope.ROLE):
        return scope, house.access.identities.get(Kind(scope.value), name).name
    if scope is Scope.KEY:
        if not _is_key(house, name):
            raise NotFound(
                f"--key {name}: there is no such access key, nor an API key with this id. `outcrop access` lists "
                "access keys, ListServiceSpecificCredentials of IAM lists API keys."
            )
        return scope, name
    found = _model_name(house, name)
    if found is None:
        raise NotFound(
            f"--model {name}: there is no such base model, on-demand deployment or imported model. See `outcrop "
            "models` and `outcrop deployments`."
        )
    return scope, found


def _is_key(house: House, key_id: str) -> bool:
    """Whether this is the id of an access key, or of an API key of Bedrock."""
    api_keys = (credential.id for _, credential in house.access.service_credentials.of_everyone())
    return house.access.secret_for(key_id) is not None or key_id in api_keys


def _model_name(house: House, name: str) -> str | None:
    """The name by which invocations of a model are counted; None where there is none."""
    base = house.catalog.find(name)
    if base is not None:
        return base.id
    rows = [row for kind in (ON_DEMAND, imported_models.KIND) for row in house.store.resources.all(kind)]
    return next((name for row in rows if name in (row.arn, row.name)), None)


def _number(number: int | None) -> str:
    return "any" if number is None else f"{number:,}"
