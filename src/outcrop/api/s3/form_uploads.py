"""The entrance of web pages' forms: an upload to a bucket becomes a call of PutObject."""

from outcrop.api.door.aws_requests import params_of
from outcrop.api.door.call import Call
from outcrop.api.door.corridor import Corridor
from outcrop.api.door.visit import Visit
from outcrop.api.s3 import forms
from outcrop.protocol.http import HttpRequest, HttpResponse


class FormUploads:
    """Forms sent to buckets; what proves one is its policy."""

    def __init__(self, corridor: Corridor) -> None:
        self._corridor = corridor

    def is_asked(self, request: HttpRequest) -> bool:
        return forms.is_upload(request)

    async def answer(self, visit: Visit) -> HttpResponse:
        """Raises what becomes S3's own error."""
        upload = await forms.read(self._corridor.house, visit.request, visit.incoming.stream())
        visit.goes_to(upload.routed)
        visit.caller, visit.region = upload.caller, upload.region
        call = Call(
            service=upload.routed.service,
            operation=upload.routed.operation.name,
            params=params_of(upload.routed, upload.request),
            caller=upload.caller,
            region=upload.region,
            request_id=visit.request_id,
            headers=upload.request.headers,
            source_ip=visit.source_ip,
            secure=visit.secure,
            known=upload.known,
            body=upload.body,
            started=visit.started,
        )
        stored = await self._corridor.walk(visit, call, self._corridor.handler(upload.routed))
        assert isinstance(stored, dict), "PutObject answers with members"
        return forms.answer(upload, stored, asked=visit.request, secure=visit.secure, request_id=visit.request_id)
