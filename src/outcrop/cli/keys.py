"""`outcrop keys rewrap`: everything that the root key seals is sealed with another one.

The root key and the home are the machine's administrator's; no operation of the API changes them.
"""

import os
from collections.abc import Mapping

from cyclopts import App

from outcrop import settings as settings_of
from outcrop.access import installation
from outcrop.catalog.remote_model import RemoteModel
from outcrop.cli.options import Home
from outcrop.cli.supervisor import lock_home
from outcrop.clock import SystemClock
from outcrop.errors import Invalid, MachineTrouble
from outcrop.house import House
from outcrop.keys import root_key
from outcrop.keys.root_key import Sealer
from outcrop.private import NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND
from outcrop.settings import Settings

app = App(name="keys", help="Change the root key, which everything secret is sealed with.")
NEW_KEY, NEW_COMMAND = NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND


@app.command
def rewrap(*, home: Home = None) -> int:
    """Seal all secrets and KMS keys with a new root key, while Outcrop is stopped.

    The new key is random and lies in keys/service.key, unless OUTCROP_NEW_ROOT_KEY or OUTCROP_NEW_ROOT_KEY_COMMAND
    gives it.
    """
    settings = settings_of.read(home=home)
    if not settings.home.exists():
        raise MachineTrouble(f"{settings.home}: there is no home here yet. Start Outcrop once with `outcrop up`.")
    with lock_home(settings):
        for line in change_root(settings, os.environ):
            print(line)
    return 0


def change_root(settings: Settings, environment: Mapping[str, str]) -> list[str]:
    """Seal everything with the new root key; returns what a person should know. Raises MachineTrouble, Invalid.

    The new key is written first and put in place last: whenever this ends, one of the two files fits the database, and
    the next start finds it.
    """
    given = _given(environment)
    with House.open(settings, SystemClock()) as house:
        new = given or root_key.write_next(settings.keys)
        with house.store.transaction():
            number = house.keys.reseal(new)
            house.trail_keys.reseal(new)
            house.audit.reseal(new)
            installation.reseal(house.access.rooms, new)
            left = house.remote_credentials.reseal(new, lambda model: _remote(house, model))
    told = [f"{number} materials of KMS keys and all other secrets are sealed with the new root key."]
    if given is None:
        root_key.put_in_place(settings.keys)
        told.append(f"It lies in {root_key.key_file(settings.keys)}. Put it into your backup.")
        if settings.root_key or settings.root_key_command:
            told.append("Unset OUTCROP_ROOT_KEY and OUTCROP_ROOT_KEY_COMMAND before the next start.")
    else:
        root_key.drop_file(settings.keys)
        told.append("Give it to the next start with OUTCROP_ROOT_KEY or OUTCROP_ROOT_KEY_COMMAND.")
    told += [f"{model}: its credentials could not be opened before. Register the model again." for model in left]
    return told


def _remote(house: House, model_id: str) -> RemoteModel | None:
    entry = next((each for each in house.catalog.entries() if each.id == model_id), None)
    return None if entry is None else entry.remote


def _given(environment: Mapping[str, str]) -> Sealer | None:
    key, command = environment.get(NEW_KEY, "").strip(), environment.get(NEW_COMMAND, "").strip()
    if key and command:
        raise Invalid(f"{NEW_KEY} and {NEW_COMMAND} are both set. Unset one: the new root key comes from one place.")
    if key:
        return root_key.key_from_text(key, NEW_KEY)
    return root_key.key_from_command(command, NEW_COMMAND) if command else None
