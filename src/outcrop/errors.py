"""The tree of errors, by what the *caller* can do about them. Messages say where, what, and how to mend.

    OutcropError
    ├── Refusal                 the request or the data asks for what cannot be; the door turns each into the
    │   │                       service's own error shape
    │   ├── Invalid             a value is wrong                        ValidationException
    │   │   └── InputTooLong    the prompt leaves no room for an answer
    │   ├── Unreadable          its bytes do not fit its shapes at all  SerializationException, S3: MalformedXML
    │   ├── NotFound            no such thing                           ResourceNotFoundException
    │   ├── Conflict            not in this state                       ConflictException
    │   ├── Denied              not allowed                             AccessDeniedException
    │   ├── QuotaExceeded       too many                                ServiceQuotaExceededException
    │   ├── NotReady            ask again in a moment                   ModelNotReadyException
    │   ├── Throttled           slower                                  ThrottlingException
    │   ├── ModelFailed         the engine broke during the request     ModelErrorException
    │   │   └── ModelDamaged    its files are missing or cannot be read
    │   └── ServiceRefusal      a code of the service itself            S3's NoSuchKey, IAM's NoSuchEntity, ...
    └── MachineTrouble          port taken, disk full, home not writable: the person at the machine mends it
        └── Unavailable         the database does not answer: it passes ServiceUnavailableException

A broken promise of our own code is no member of this tree: it is an `assert`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class OutcropError(Exception):
    """Anything this project refuses or reports with a sentence of its own."""

    passes: ClassVar[bool | None] = None
    "Whether it goes away by itself and is waited out; None: what is behind it decides."

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Refusal(OutcropError):
    """The request or its data asks for what cannot be."""


class Invalid(Refusal):
    """A value is wrong."""


class InputTooLong(Invalid):
    """The prompt has more tokens than the model's context leaves room for."""


class Unreadable(Refusal):
    """The bytes of a request do not fit its shapes at all, before any of its values can be judged."""


class NotFound(Refusal):
    """No such thing."""


class Conflict(Refusal):
    """The thing exists, but not in a state that allows this."""


class Denied(Refusal):
    """The caller may not do this."""


class QuotaExceeded(Refusal):
    """A request for one more than its quota allows."""


class NotReady(Refusal):
    """A resource is not ready, but will be in a moment; clients retry by themselves."""


class Throttled(Refusal):
    """A request beyond what a quota, or capacity that was bought, allows for now."""

    def __init__(self, message: str, *, retry_after_s: float, rates: Mapping[str, float] | None = None) -> None:
        """`rates`: the limits and what is left of them, by the names that `invocation/admission.py` gives them."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.rates = dict(rates or {})


class ModelFailed(Refusal):
    """The engine broke while it worked on this request."""


class ModelDamaged(ModelFailed):
    """The files of a model are missing, cut short, or do not fit each other: no caller can help it."""


class ServiceRefusal(Refusal):
    """An error of the service's own vocabulary, e.g. S3's NoSuchKey; `members` go into the error body by name."""

    def __init__(self, code: str, message: str, *, http_status: int, **members: Any) -> None:
        super().__init__(message)
        self.code = code
        self.http_status = http_status
        self.members = members
        self.headers: dict[str, str] = {}
        "What S3 tells beside the body: that a delete marker stands at a key."


class MachineTrouble(OutcropError):
    """Something about this machine that a person must mend: a taken port, a full disk, an unwritable home."""


class Unavailable(MachineTrouble):
    """A part that Outcrop works with does not answer at the moment: the same request, sent later, will do."""

    passes = True
