"""Identifiers of a request resolved to resources, however they are spelled: found first, then decided on, then used.

An ARN, a name, an id, the end of an ARN (`base id/id`), a foundation model's id with or without its suffixes, and an
inference profile all come out as one resource. What stands for nothing gets the ARN that it would have, so that who may
not ask hears the same refusal either way.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from outcrop import arn as arns

FOUNDATION, PROFILE = "foundation-model", "inference-profile"
_PROFILE = re.compile(r"^(us|us-gov|eu|apac|jp|au|ca|sa|global)\.")
_THROUGHPUT = "provisioned-model"
_ID_IN_ARN = re.compile(r"^[a-z0-9]{12}$")
ENDS_ARN = re.compile(r"(^|/)[a-z0-9]{12}$")
"What can be the end of an ARN: an id, alone or behind that of its base."


class FoundRow(Protocol):
    """A row of the records that an identifier stands for."""

    @property
    def arn(self) -> str: ...


class Foundation(Protocol):
    """A foundation model of the catalogue, as decisions see it."""

    @property
    def id(self) -> str: ...
    @property
    def names(self) -> tuple[str, ...]:
        """Every id it answers to."""

    @property
    def engine(self) -> str:
        """The id of the entry whose weights it uses: its own, or that behind an alias."""

    @property
    def remote(self) -> object | None:
        """Where it is, of a model on a server of somebody else's; None: it is here."""


Find = Callable[[str, str], FoundRow | None]
"What a kind and a spelling (`custom-model`, `my-model`) stand for, or None when there is no such thing."
FindFoundation = Callable[[str], Foundation | None]
"The foundation model with this id, with or without suffixes."


class Names(Protocol):
    """The records in which identifiers are looked up."""

    @property
    def region(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def find(self) -> Find: ...
    @property
    def foundation(self) -> FindFoundation: ...


@dataclass(frozen=True, kw_only=True)
class Named:
    """The resource that an identifier stands for."""

    kind: str
    arn: str
    "Its own, or the one that it would have."
    is_known: bool
    "False: it stands for nothing here. The ARN of a record counts as known; whoever uses it looks."
    also: tuple[str, ...] = ()
    "Further ARNs of the same resource: a foundation model has one for each form of its id."
    behind: tuple[str, ...] = ()
    "ARNs of the model whose weights stand in for it; a Deny may mean these too."
    profile: str | None = None
    "The ARN of the inference profile that names it."
    foundation: Foundation | None = None
    shown: str = ""
    "What a refusal calls it: as the caller spelled it, which tells nothing that the caller did not know."


def named(identifier: str, kinds: Sequence[str], names: Names) -> Named:
    """The resource that `identifier` stands for among these kinds; of several with this name, the first kind's."""
    if identifier.startswith("arn:"):
        return _by_arn(identifier, kinds, names)
    for kind in kinds:
        if kind == FOUNDATION:
            model = _model(identifier, names, PROFILE in kinds, shown=_shown(identifier, names.region))
            if model.is_known:
                return model
            continue
        found = names.find(kind, identifier)
        if found is not None:
            return Named(kind=kind, arn=found.arn, is_known=True, shown=_shown(identifier, names.region))
    return _absent(identifier, kinds, names)


def _by_arn(identifier: str, kinds: Sequence[str], names: Names) -> Named:
    """The resource of an ARN, which says by itself what it stands for.

    The ARN of a foundation model may leave region and account out.
    """
    parsed, shown = arns.parse(identifier), identifier
    if parsed is None or parsed.service != "bedrock" or parsed.kind not in kinds:
        return Named(kind=parsed.kind if parsed else "", arn=identifier, is_known=False, shown=shown)
    if parsed.kind in (FOUNDATION, PROFILE):
        ours = parsed.region in ("", names.region) and parsed.account in ("", names.account)
        if ours and (parsed.kind == FOUNDATION or _PROFILE.match(parsed.tail)):
            return _model(parsed.tail, names, PROFILE in kinds, shown=shown)
    # The records hold nothing of another account, and whoever looks there looks in this region.
    known = parsed.kind not in (FOUNDATION, PROFILE)
    return Named(kind=parsed.kind, arn=identifier, is_known=known, shown=shown)


def _model(identifier: str, names: Names, profiles: bool, *, shown: str) -> Named:
    """A foundation model by its id, alone or in an inference profile's."""
    profile = None
    found = names.foundation(identifier)
    if profiles and _PROFILE.match(identifier):
        profile = arns.bedrock(names.region, names.account, f"{PROFILE}/{identifier}")
        identifier = identifier.partition(".")[2]
        found = found or names.foundation(identifier)
    # An alias may have been given for the profile's whole id; policies are written about the model in it all the same.
    ids = dict.fromkeys((*_ids(names.foundation(identifier), identifier), *_ids(found, identifier)))
    own, *also = (arns.foundation_model(names.region, each) for each in ids)
    stand_in = names.foundation(found.engine) if found is not None and found.engine not in ("", found.id) else None
    behind = [arns.foundation_model(names.region, each) for each in (stand_in.names if stand_in else ())]
    return Named(
        kind=FOUNDATION,
        arn=own,
        is_known=found is not None,
        also=tuple(also),
        behind=tuple(behind),
        profile=profile,
        foundation=found,
        shown=shown,
    )


def _ids(model: Foundation | None, otherwise: str) -> tuple[str, ...]:
    return (otherwise,) if model is None else (model.id, *model.names)


def _absent(identifier: str, kinds: Sequence[str], names: Names) -> Named:
    """The resource that an unknown identifier would name: the ARN that a thing of that form would have."""
    if FOUNDATION in kinds and not (_THROUGHPUT in kinds and _ID_IN_ARN.match(identifier)):
        return _model(identifier, names, PROFILE in kinds, shown=_shown(identifier, names.region))
    kind = _THROUGHPUT if _THROUGHPUT in kinds else kinds[0]
    arn = arns.bedrock(names.region, names.account, f"{kind}/{identifier}")
    return Named(kind=kind, arn=arn, is_known=False, shown=_shown(identifier, names.region))


def _shown(identifier: str, region: str) -> str:
    # Names given by customers hold no point and no colon, ids of foundation models do.
    return arns.foundation_model(region, identifier) if {".", ":"} & set(identifier) else identifier
