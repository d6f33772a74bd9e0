"""Who sent this request? The proof it carries is read, checked against what access knows, and named."""

import anyio.to_thread

from outcrop.access.caller import Caller
from outcrop.api.platform import Platform
from outcrop.protocol import service_model, sigv4
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.routing import Routed
from outcrop.protocol.sigv4 import Verified


async def verify(platform: Platform, request: HttpRequest, routed: Routed) -> tuple[Verified, Caller]:
    """The signature as verified, and whose it is; refuses in the words of the service that was asked."""
    signed = sigv4.read(request, protocol=routed.protocol)
    credential = await anyio.to_thread.run_sync(platform.secret_for, signed.key_id)
    verified = sigv4.verify(
        signed,
        credential,
        request,
        protocol=routed.protocol,
        service=service_model.signing_name(routed.service),
        now=platform.clock.now(),
    )
    assert credential is not None, "verify refuses unknown keys"
    return verified, credential.caller
