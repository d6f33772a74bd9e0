"""The refusals of hubs, in SageMaker's own codes."""

from outcrop.errors import ServiceRefusal


def not_found(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("ResourceNotFound", sentence, http_status=400)


def in_use(sentence: str) -> ServiceRefusal:
    return ServiceRefusal("ResourceInUse", sentence, http_status=400)
