"""Entries of remote models, as the home's catalogue file holds them."""

import tomllib
from collections.abc import Mapping
from typing import Any

from outcrop.catalog import families
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.network.model_task import ModelTask

_LONGEST_NAME = 20
"In ListFoundationModels."


def entry(
    model_id: str,
    remote: RemoteModel,
    *,
    known: BaseModel | None,
    name: str | None,
    provider: str | None,
    task: ModelTask | None,
) -> dict[str, Any]:
    """The table of a remote model. An id that is `known` keeps its names and its dialect. Raises Invalid."""
    family = None if known is not None else families.family_of(model_id)
    otherwise = known.provider if known else family.provider if family else "Remote"
    told = name or (known.name if known else model_id.partition(".")[2] or model_id)
    return {
        "id": known.id if known else model_id,
        "name": told[:_LONGEST_NAME],
        "provider": (provider or otherwise)[:_LONGEST_NAME],
        "remote": _members(remote),
        "context_length": 0,
        "context": "",
        "dialect": known.dialect if known else family.dialect if family else "any",
        "task": (task or (known.task if known else family.task if family else ModelTask.TEXT)).value,
        "customizations": [],
    }


def read(model_id: str, told: Mapping[str, Any]) -> RemoteModel:
    """The remote model of an entry. Raises ValueError, in words for whoever wrote the file."""
    try:
        return RemoteModel(**{**told, "api": RemoteApi(told["api"])})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{model_id}: remote: {error} is not as `outcrop register --url` writes it") from error


def without(text: str, model_id: str) -> str:
    """The text of a catalogue without the tables of one entry; all else stays as it is, comments too."""
    return "".join(part for part in _tables(text) if not _is_of(part, model_id))


def _members(remote: RemoteModel) -> dict[str, Any]:
    """The members that are not as usual."""
    told = {"api": remote.api.value, "url": remote.url, "model": remote.model, "region": remote.region}
    return {name: value for name, value in told.items() if value} | ({"completes": True} if remote.completes else {})


def _tables(text: str) -> list[str]:
    """The text, cut before each of its tables."""
    parts = [""]
    for line in text.splitlines(keepends=True):
        if line.startswith("[["):
            parts.append("")
        parts[-1] += line
    return parts


def _is_of(part: str, model_id: str) -> bool:
    return any(each["id"] == model_id for each in tomllib.loads(part).get("model", ()))
