"""The caller of a request, and the secret that proves it: values that the door and access control exchange."""

from collections.abc import Hashable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A user, or a session of a role or user."""

    arn: str
    "`arn:aws:iam::<account>:user/<name>` or `arn:aws:sts::<account>:assumed-role/<role>/<session>`."
    account: str
    user_id: str
    key_id: str
    session_name: str | None = None
    "The session of an assumed role; None for a user."

    @property
    def principal(self) -> str:
        """The user, or the role whichever its session: who takes turns with whom."""
        return self.arn if self.session_name is None else self.arn.removesuffix(f"/{self.session_name}")


@dataclass(frozen=True, kw_only=True)
class Credential:
    """The secret that a signature made with an access key is checked against, and the caller it proves."""

    caller: Caller
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    "Must come with the request when it is not None."
    expires: datetime | None = None
    "The moment after which a session's key is worth nothing; None for a user's key."


class Asker(Protocol):
    """A caller as this room reads one, whoever built it."""

    @property
    def arn(self) -> str: ...
    @property
    def account(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def key_id(self) -> str: ...


class AuthorizableRequest(Protocol):
    """A request as authorization reads it; the door's `Call` is one."""

    @property
    def service(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def caller(self) -> Asker: ...
    @property
    def region(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def source_ip(self) -> str: ...
    @property
    def secure(self) -> bool: ...
    @property
    def known(self) -> Mapping[str, str]:
        """The condition keys about its proof."""

    @property
    def started(self) -> float:
        """When the request came in, of `time.monotonic()`."""

    @property
    def found(self) -> MutableMapping[tuple[str, str], Any]:
        """The look-ups made for the request, by kind and spelling: what is decided on is what is used."""

    @property
    def line(self) -> Hashable | None:
        """Equal for requests of equal service, operation and parameters; None where nobody has compared them."""
