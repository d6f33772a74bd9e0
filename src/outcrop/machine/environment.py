"""The environment variables that a process of ours hands on: all but root keys and the database's address.

Only a process that opens the database needs them; an address may hold a password. Engines, trainers, readers of
documents and whatever else a process starts are none of these, and what they load may be anybody's.
"""

import os

from outcrop.private import DATABASE_URL, MODEL_KEYS, NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND, ROOT_KEY, ROOT_KEY_COMMAND

SECRETS = frozenset((DATABASE_URL, ROOT_KEY, ROOT_KEY_COMMAND, NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND, MODEL_KEYS))


def inherited(**more: str) -> dict[str, str]:
    """The environment of a child that opens no database; `more` is what it gets beside ours."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS} | more
