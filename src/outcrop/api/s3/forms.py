"""S3: uploads by the form of a web page, as `generate_presigned_post` makes them.

The form's policy is its proof; its fields are what would be headers of a PutObject, and a PutObject is what it becomes:
the same permissions, the same handler, the same storing. Only the answer is the form's own.
"""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote, urlencode

from outcrop.access.caller import Caller
from outcrop.api.s3.members import location_of
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol import form_data, routing, service_model
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.routing import Routed
from outcrop.protocol.serialize import request_id_headers
from outcrop.protocol.signing import post_policy
from outcrop.protocol.signing.proof import known_of_proof
from outcrop.protocol.values import xml_values
from outcrop.protocol.virtual_hosts import addressed

_HEADERS = frozenset({
    "cache-control", "content-type", "content-disposition", "content-encoding", "expires", "x-amz-acl", "x-amz-tagging",
    "x-amz-storage-class", "x-amz-website-redirect-location", "x-amz-sdk-checksum-algorithm",
})  # fmt: skip
_HEADER_FAMILIES = ("x-amz-meta-", "x-amz-checksum-", "x-amz-server-side-encryption", "x-amz-object-lock-")
_OF_THE_PROOF = frozenset({
    "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature", "x-amz-security-token",
})  # fmt: skip
_KEPT = ("user-agent", "referer")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_KEY_MISSING = (
    "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields."
)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A form that has been read up to its file and proven."""

    caller: Caller
    region: str
    known: Mapping[str, str]
    "Condition keys about its proof."
    request: HttpRequest
    "The PutObject that it stands for."
    routed: Routed
    body: AsyncIterator[bytes]
    fields: Mapping[str, str]
    bucket: str
    key: str


def is_upload(request: HttpRequest) -> bool:
    """Whether it is a form sent to a bucket; signed requests and requests to objects are none."""
    if request.method != "POST" or not form_data.is_form(request.headers.get("content-type", "")):
        return False
    bucket, _, key = addressed(request).raw_path.removeprefix("/").partition("/")
    return bool(bucket) and not key and not request.raw_query and "authorization" not in request.headers


async def read(house: House, request: HttpRequest, stream: AsyncIterator[bytes]) -> Upload:
    """Refuses a form that cannot be read, that nobody signed, or whose fields are not what was signed."""
    form = await _form(request, stream)
    if form.file is None:
        text = "POST requires exactly one file upload per request."
        raise ServiceRefusal("IncorrectNumberOfFilesInPostRequest", text, http_status=400)
    signed = post_policy.read(form.fields)
    credential = await house.ask(house.access.secret_for, signed.key_id)
    policy = post_policy.verify(signed, credential, now=house.clock.now())
    assert credential is not None, "verify refuses unknown keys"
    bucket = unquote(addressed(request).raw_path.strip("/"))
    sizes = policy.check(form.fields, bucket=bucket, now=house.clock.now())
    key = form.fields.get("key", "").replace("${filename}", form.filename)
    if not key:
        raise ServiceRefusal("InvalidArgument", _KEY_MISSING, http_status=400, ArgumentName="key")
    put = HttpRequest(
        method="PUT",
        raw_path=f"/{quote(bucket, safe='')}/{quote(key)}",
        raw_query="",
        # Of the form's own headers those that policies know; its length and type are not those of the file.
        headers={name: request.headers[name] for name in _KEPT if name in request.headers} | _headers(form.fields),
    )
    return Upload(
        caller=credential.caller,
        region=signed.region,
        known=known_of_proof("POST", "AWS4-HMAC-SHA256" if signed.day else "AWS"),
        request=put,
        # By its path alone: no field makes it another operation.
        routed=routing.route(replace(put, headers={}), "s3"),
        body=_sized(form.file, sizes),
        fields=form.fields,
        bucket=bucket,
        key=key,
    )


async def _form(request: HttpRequest, stream: AsyncIterator[bytes]) -> form_data.UploadForm:
    try:
        return await form_data.read_form(request.headers["content-type"], stream)
    except form_data.FieldsTooLarge as error:
        text = "Your POST request fields preceeding the upload file was too large."
        raise ServiceRefusal("MaxPostPreDataLengthExceeded", text, http_status=400) from error
    except form_data.MalformedForm as error:
        raise _malformed(error) from error


def _headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The fields that would be headers of a PutObject."""
    headers: dict[str, str] = {}
    for field, value in fields.items():
        name = "x-amz-acl" if field == "acl" else field
        if name == "tagging":
            name, value = "x-amz-tagging", _tags(value)
        if name in _HEADERS or name.startswith(_HEADER_FAMILIES):
            if not _HEADER_NAME.fullmatch(name) or not value.isprintable():
                # In an answer it would begin a header of its own.
                raise _refused_field(field, "no header could carry it.")
            headers[name] = value
        elif name.startswith("x-amz-") and name not in _OF_THE_PROOF:
            raise _refused_field(field, "a form has no such field. Leave it out.")
    return headers


def _tags(text: str) -> str:
    """A form's tags are XML where a header's are a query."""
    shape = service_model.operation("s3", "PutObjectTagging").input_shape
    assert shape is not None, "PutObjectTagging takes members"
    tagging = xml_values.read(shape.members["Tagging"], xml_values.parse(text.encode()))
    return urlencode([(tag.get("Key", ""), tag.get("Value", "")) for tag in tagging.get("TagSet", [])])


def _refused_field(field: str, why: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidArgument", f"{field}: {why}", http_status=400, ArgumentName=field)


async def _sized(file: AsyncIterator[bytes], sizes: range) -> AsyncIterator[bytes]:
    """The file, refused where the policy wants it smaller or larger: as soon as that is known."""
    size = 0
    try:
        async for piece in file:
            size += len(piece)
            if size >= sizes.stop:
                raise _wrong_size(
                    "EntityTooLarge", "exceeds the maximum allowed size", size, MaxSizeAllowed=sizes.stop - 1
                )
            yield piece
    except form_data.MalformedForm as error:
        raise _malformed(error) from error
    if size < sizes.start:
        raise _wrong_size(
            "EntityTooSmall", "is smaller than the minimum allowed size", size, MinSizeAllowed=sizes.start
        )


def _wrong_size(code: str, what: str, size: int, **limit: int) -> ServiceRefusal:
    return ServiceRefusal(code, f"Your proposed upload {what}", http_status=400, ProposedSize=size, **limit)


def answer(
    upload: Upload, stored: Mapping[str, Any], *, asked: HttpRequest, secure: bool, request_id: str
) -> HttpResponse:
    """204, or what the form asked for: another status, or the way to another page. `stored`: PutObject's answer."""
    etag, version = stored["ETag"], stored.get("VersionId")
    headers = {
        **request_id_headers("rest-xml", request_id),
        **({} if version is None else {"x-amz-version-id": version}),
        "ETag": etag,
        "Location": location_of(asked.headers, secure=secure, bucket=upload.bucket, key=upload.key),
    }
    page = upload.fields.get("success_action_redirect") or upload.fields.get("redirect") or ""
    if _is_page(page):
        told = urlencode({"bucket": upload.bucket, "key": upload.key, "etag": etag}, quote_via=quote)
        return HttpResponse(status=303, headers={**headers, "Location": f"{page}{'&' if '?' in page else '?'}{told}"})
    status = upload.fields.get("success_action_status")
    if status != "201":
        return HttpResponse(status=200 if status == "200" else 204, headers=headers)
    members = {"Location": headers["Location"], "Bucket": upload.bucket, "Key": upload.key, "ETag": etag}
    inner = "".join(f"<{name}>{xml_values.text(value)}</{name}>" for name, value in members.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{inner}</PostResponse>'
    return HttpResponse(status=201, headers={**headers, "Content-Type": "application/xml"}, body=body.encode())


def _is_page(url: str) -> bool:
    """Whether a form's redirect names a web page; one that is none is passed over, as S3 does."""
    return bool(url) and url.isascii() and url.isprintable() and url.startswith(("http://", "https://"))


def _malformed(error: form_data.MalformedForm) -> ServiceRefusal:
    text = f"The body of your POST request is not well-formed multipart/form-data. {error.message}"
    return ServiceRefusal("MalformedPOSTRequest", text, http_status=400)
