"""Files: uploaded for fine-tuning in constant memory, listed, sent again, deleted. Objects of a bucket, as S3's are."""

from typing import Any

from anyio import CancelScope, to_thread

from outcrop.api.door import object_keys
from outcrop.api.door.call import Answer, Answered, Call
from outcrop.api.openai import pages, refusals, stored_files, training_jobs
from outcrop.api.openai.endpoint import CONTENT, LABEL, QUERY, Endpoint, EndpointRequest, MeantOperation, Takes
from outcrop.api.openai.stored_files import FINE_TUNE, StoredFile
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.records import Details
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol import form_data
from outcrop.protocol.form_data import FieldsTooLarge, MalformedForm, UploadForm

_UNSERVED = {
    "assistants": "assistants",
    "batch": "batches",
    "evals": "evals",
    "user_data": "files in prompts",
    "vision": "images",
}
"Purposes of OpenAI's that are not served, and what they are for."
_ID, _PART = "file_id", "Key"
_MOST = 10_000


async def upload_file(house: House, call: Call) -> Answered:
    """Store a file as it arrives, and put it on record. Raises Denied for the key of the bucket."""
    form = await _form(call)
    if "purpose" in form.fields:
        _check_fields(form)
    if form.file is None:
        raise refusals.missing("file")
    await to_thread.run_sync(stored_files.make_bucket, house)
    file_id = str(call.params[_ID])
    place = stored_files.place_of(house, file_id, form.filename)
    encryption = await to_thread.run_sync(object_keys.check_write, house, call, place)
    try:
        details = Details(content_type="application/jsonl", encryption=encryption)
        stored = await house.buckets.put(place, form.file, details=details)
        try:
            assert form.rest is not None, "a form that was read has a rest"
            await form.rest()
            _check_fields(form)
        except BaseException:
            with CancelScope(shield=True):
                await to_thread.run_sync(house.buckets.remove, *place)
            raise
    except MalformedForm as error:
        raise _malformed(error) from error
    file = StoredFile(
        id=file_id,
        filename=form.filename or stored_files.key_name(""),
        purpose=form.fields["purpose"],
        size=stored.size,
        created=house.clock.now(),
        place=place,
    )
    await to_thread.run_sync(stored_files.add, house, call.region, file)
    return file.members


def list_files(house: House, call: Call) -> Answered:
    """The files on record, newest first."""
    query = call.params[QUERY]
    found = pages.rows(house, stored_files.KIND, call.region, descending=pages.is_descending(query))
    files = (stored_files.file_of(row) for row in found)
    purpose = query.get("purpose")
    wanted = (file.members for file in files if purpose is None or file.purpose == purpose)
    return pages.page(wanted, query, usual=_MOST, most=_MOST)


def get_file(house: House, call: Call) -> Answered:
    return _found(house, call).members


def get_content(house: House, call: Call) -> Answered:
    """The bytes of a file, sent without being held in memory. Raises Denied for the key that seals it."""
    file = _found(house, call)
    try:
        record = house.buckets.find(*file.place)
    except ServiceRefusal as absent:
        raise refusals.no_such("File content", file.id, param="file_id") from absent
    object_keys.check_read(house, call, record)
    headers = {"Content-Type": "application/octet-stream"}
    return Answer({CONTENT: house.buckets.body(record, Stretch(0, record.size))}, headers=headers)


def delete_file(house: House, call: Call) -> Answered:
    file = _found(house, call)
    if file.purpose != FINE_TUNE:
        raise refusals.invalid("file_id", f"{file.id} belongs to the job that wrote it, and stays as long.")
    stored_files.remove(house, call.region, file)
    return {"id": file.id, "object": "file", "deleted": True}


def find_file(house: House, region: str, file_id: str) -> StoredFile | None:
    """The file with an id: one that was uploaded, or the results of a fine-tuning job."""
    return stored_files.find(house, region, file_id) or training_jobs.results_file(house, region, file_id)


def _found(house: House, call: Call) -> StoredFile:
    file = find_file(house, call.region, call.params[LABEL])
    if file is None:
        raise refusals.no_such("File object", call.params[LABEL], param="file_id")
    return file


async def _form(call: Call) -> UploadForm:
    content_type = call.headers.get("content-type", "")
    if not form_data.is_form(content_type):
        what = "expected multipart/form-data, with the fields purpose and file."
        raise refusals.invalid("file", what, code="invalid_content_type")
    assert call.body is not None, "a form streams in"
    try:
        return await form_data.read_form(content_type, call.body)
    except (MalformedForm, FieldsTooLarge) as error:
        raise _malformed(error) from error


def _check_fields(form: UploadForm) -> None:
    for name in form.fields:
        if name.startswith("expires_after"):
            raise refusals.unserved("expires_after", "files stay until they are deleted. Leave it out.")
        if name != "purpose":
            raise refusals.unknown(name)
    purpose = form.fields.get("purpose")
    if purpose is None:
        raise refusals.missing("purpose")
    if purpose in _UNSERVED:
        raise refusals.invalid("purpose", f"{_UNSERVED[purpose]} are not built in Outcrop. Use {FINE_TUNE}.")
    if purpose != FINE_TUNE:
        raise refusals.invalid("purpose", f"{purpose[:50]!r} is no purpose. Use {FINE_TUNE}.")


def _malformed(error: MalformedForm | FieldsTooLarge) -> ServiceRefusal:
    return refusals.invalid("file", f"the form cannot be read. {error.message}", code="invalid_form")


def _mean_upload(house: House, _asked: EndpointRequest) -> MeantOperation:
    file_id = stored_files.new_file_id()
    return MeantOperation("PutObject", {**_object(house, f"files/{file_id}/"), _ID: file_id})


def _mean_list(house: House, _asked: EndpointRequest) -> MeantOperation:
    return MeantOperation("ListObjectsV2", {"Bucket": stored_files.bucket_name(house), "Prefix": "files/"})


def _mean_get(house: House, asked: EndpointRequest) -> MeantOperation:
    return MeantOperation("GetObject", _object_of(house, asked))


def _mean_delete(house: House, asked: EndpointRequest) -> MeantOperation:
    return MeantOperation("DeleteObject", _object_of(house, asked))


def _object_of(house: House, asked: EndpointRequest) -> dict[str, Any]:
    """The object of the file that a request names, or the one that it would have."""
    file = find_file(house, asked.region, asked.label)
    return (
        _object(house, f"files/{asked.label}/")
        if file is None
        else {"Bucket": file.place.bucket, _PART: file.place.key}
    )


def _object(house: House, key: str) -> dict[str, Any]:
    return {"Bucket": stored_files.bucket_name(house), _PART: key}


ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/files",
        service="s3",
        operation="PutObject",
        meaning=_mean_upload,
        handler=upload_file,
        takes=Takes.FORM,
    ),
    Endpoint(
        method="GET", path="/files", service="s3", operation="ListObjectsV2", meaning=_mean_list, handler=list_files
    ),
    Endpoint(
        method="GET", path="/files/{file}", service="s3", operation="GetObject", meaning=_mean_get, handler=get_file
    ),
    Endpoint(
        method="GET",
        path="/files/{file}/content",
        service="s3",
        operation="GetObject",
        meaning=_mean_get,
        handler=get_content,
    ),
    Endpoint(
        method="DELETE",
        path="/files/{file}",
        service="s3",
        operation="DeleteObject",
        meaning=_mean_delete,
        handler=delete_file,
    ),
)
