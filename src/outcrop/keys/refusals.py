"""Refusals of KMS, each with the service's own code and sentence."""

from outcrop.errors import ServiceRefusal


def refusal(code: str, sentence: str) -> ServiceRefusal:
    """An error of KMS; on the wire all of them have status 400."""
    return ServiceRefusal(code, sentence, http_status=400)


def no_key(arn: str) -> ServiceRefusal:
    return refusal("NotFoundException", f"Key '{arn}' does not exist")


def no_alias(arn: str) -> ServiceRefusal:
    return refusal("NotFoundException", f"Alias {arn} is not found.")


def disabled(arn: str) -> ServiceRefusal:
    return refusal("DisabledException", f"{arn} is disabled.")


def pending_deletion(arn: str) -> ServiceRefusal:
    return refusal("KMSInvalidStateException", f"{arn} is pending deletion.")


def not_pending_deletion(arn: str) -> ServiceRefusal:
    return refusal("KMSInvalidStateException", f"{arn} is not pending deletion.")


def wrong_usage(arn: str, usage: str, operation: str) -> ServiceRefusal:
    sentence = f"{arn} key usage is {usage} which is not valid for {operation}."
    return refusal("InvalidKeyUsageException", sentence)


def unsupported(sentence: str) -> ServiceRefusal:
    return refusal("UnsupportedOperationException", sentence)


def invalid(sentence: str) -> ServiceRefusal:
    return refusal("ValidationException", sentence)


def invalid_ciphertext(
    sentence: str = "The ciphertext is damaged, or its encryption context is another.",
) -> ServiceRefusal:
    return refusal("InvalidCiphertextException", sentence)


def limit_exceeded(sentence: str) -> ServiceRefusal:
    return refusal("LimitExceededException", sentence)


def hidden_key() -> ServiceRefusal:
    """The refusal to decrypt with a key that is not here: it says nothing about other regions or accounts."""
    return refusal(
        "AccessDeniedException",
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are "
        "not allowed to access.",
    )
