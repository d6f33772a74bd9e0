"""The environment variables that a process of ours hands on: all but those that give the root key away.

Only a process that opens the database needs the root key. Engines, trainers, readers of documents and whatever else a
process starts are none of these, and what they load may be anybody's.
"""

import os

from outcrop.private import MODEL_KEYS, NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND, ROOT_KEY, ROOT_KEY_COMMAND

SECRETS = frozenset((ROOT_KEY, ROOT_KEY_COMMAND, NEW_ROOT_KEY, NEW_ROOT_KEY_COMMAND, MODEL_KEYS))


def inherited(**more: str) -> dict[str, str]:
    """The environment of a child that opens no database; `more` is what it gets beside ours."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS} | more
