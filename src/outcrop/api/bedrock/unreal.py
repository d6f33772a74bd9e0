"""Refusal of request members for what is not built: encryption of some resources by one's own key, one's own network.

Taking such a member and doing nothing would be worse than refusing it: somebody relies on it.
"""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid

_UNREAL = {
    "kmskey": "{name}: encryption of this by a key of one's own is not built in Outcrop yet. Leave it out, and start "
    "with `outcrop up --seal`, or encrypt the disk.",
    "vpcconfig": "{name}: a network of one's own is not built in Outcrop yet; jobs run in the worker on this machine. "
    "Leave it out.",
}
"By a part of the member's name."
_BUILT = ("customModelKmsKeyId", "importedModelKmsKeyId", "modelKmsKeyArn")


def check(params: Mapping[str, Any]) -> None:
    """Raises Invalid for members of a Bedrock request that ask for a key or a network. Empty ones ask for nothing."""
    problems = [
        problem for name, value in params.items() if value and name not in _BUILT and (problem := _problem(name))
    ]
    if problems:
        raise Invalid(" ".join(problems))


def _problem(name: str) -> str | None:
    return next((told.format(name=name) for part, told in _UNREAL.items() if part in name.lower()), None)
