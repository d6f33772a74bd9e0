"""IAM's refusals, each with the service's own code, status and sentence."""

from outcrop.errors import ServiceRefusal


def no_such(what: str, name: str) -> ServiceRefusal:
    """`what` as IAM says it: role, user, role policy."""
    return ServiceRefusal("NoSuchEntity", f"The {what} with name {name} cannot be found.", http_status=404)


def no_such_policy(arn: str) -> ServiceRefusal:
    return ServiceRefusal("NoSuchEntity", f"Policy {arn} was not found.", http_status=404)


def not_attachable(arn: str) -> ServiceRefusal:
    return ServiceRefusal("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", http_status=404)


def exists(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("EntityAlreadyExists", sentence, http_status=409)


def in_use(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("DeleteConflict", sentence, http_status=409)


def too_many(quota: str, limit: int) -> ServiceRefusal:
    return ServiceRefusal("LimitExceeded", f"Cannot exceed quota for {quota}: {limit}", http_status=409)


def invalid_input(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidInput", sentence, http_status=400)


def unmodifiable(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("UnmodifiableEntity", sentence, http_status=400)
