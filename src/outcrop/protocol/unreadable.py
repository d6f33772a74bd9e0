"""A request whose bytes do not fit its shapes at all, before any of its values can be judged."""

from outcrop.errors import Refusal


class Unreadable(Refusal):
    """The door answers SerializationException, or what the service calls it (S3: MalformedXML)."""
