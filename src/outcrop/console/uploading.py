"""Uploads: the body of a browser's request into a bucket while it arrives, in parts where it is large."""

from anyio import to_thread
from starlette.responses import PlainTextResponse, Response

from outcrop.console.visit import ConsoleVisit

_PART_BYTES = 16 << 20


async def upload(visit: ConsoleVisit) -> Response:
    """Puts the body as the object that the address names. No more than a part of it is held at once."""
    bucket, key = visit.asked("bucket"), visit.asked("key")
    if not bucket or not key:
        return PlainTextResponse("bucket, key: name both.\n", 400)
    s3, held, upload_id = visit.api.client("s3"), bytearray(), ""
    parts: list[dict[str, object]] = []
    try:
        async for piece in visit.request.stream():
            held += piece
            if len(held) < _PART_BYTES:
                continue
            if not upload_id:
                begun = await to_thread.run_sync(lambda: s3.create_multipart_upload(Bucket=bucket, Key=key))
                upload_id = begun["UploadId"]
            parts.append(await _put_part(s3, bucket, key, upload_id, len(parts) + 1, bytes(held)))
            held.clear()
        if not upload_id:
            await to_thread.run_sync(lambda: s3.put_object(Bucket=bucket, Key=key, Body=bytes(held)))
            return PlainTextResponse("", 204)
        if held:
            parts.append(await _put_part(s3, bucket, key, upload_id, len(parts) + 1, bytes(held)))
        done = {"Parts": parts}
        await to_thread.run_sync(
            lambda: s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload=done)
        )
    except BaseException:
        if upload_id:
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
        raise
    return PlainTextResponse("", 204)


async def _put_part(s3: object, bucket: str, key: str, upload_id: str, number: int, body: bytes) -> dict[str, object]:
    put = await to_thread.run_sync(
        lambda: s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body)  # type: ignore[attr-defined]
    )
    return {"PartNumber": number, "ETag": put["ETag"]}
