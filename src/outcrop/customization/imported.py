"""CreateCustomModel: a model checkpoint in a bucket becomes a custom model of its own.

Amazon's operation takes artifacts that its own trainers left. This one takes folders that `checkpoints.py` wrote, on
this installation or another that knows the same base model: every file is held against its digest, and the model is
Active at once. What other trainers left goes the longer road of `creation.py`.
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from outcrop import arn
from outcrop.catalog import custom_model_states
from outcrop.catalog.base_model import BaseModel
from outcrop.customization import creation, creation_kind
from outcrop.customization.names import check_model_name
from outcrop.customization.output import checkpoint_files, checkpoints
from outcrop.customization.output.checkpoint_files import MANIFEST, read_manifest
from outcrop.customization.rooms import Rooms
from outcrop.data.data import RoleData
from outcrop.data.model_archive import ENDINGS
from outcrop.errors import Invalid, MachineTrouble
from outcrop.json_files import FileProblem
from outcrop.keys import sealing
from outcrop.keys.sealed_folder import FolderSeal, seal_folder
from outcrop.keys.sealed_records import SEAL
from outcrop.keys.sealing import AuthorizeKey
from outcrop.network import facts
from outcrop.probe import launch
from outcrop.store.idempotency import digest_of
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

IMPORTED = "IMPORTED"
_MAKING = ".importing-"
_KEY = "modelKmsKeyArn"


def create(
    house: Rooms,
    params: Mapping[str, Any],
    *,
    region: str,
    account: str,
    owner: str = "",
    authorize_key: AuthorizeKey = sealing.nobody_may,
) -> str:
    """Copy the files, then write the model's row; returns its ARN. `owner` is the user or role that asks, and
    `authorize_key` knows which KMS keys it may use.

    The same clientRequestToken gets the first ARN again. Raises Invalid, Denied.
    """
    token, scope = params.get("clientRequestToken"), f"{region}:CreateCustomModel"
    key = params.get(_KEY, "")

    def answered_before() -> str | None:
        found = house.store.idempotency.recall(scope, token, digest_of(params)) if token else None
        return None if found is None else str(found["modelArn"])

    before = answered_before()
    if before is not None:
        return before
    try:
        check_model_name(house, params["modelName"], region)
    except Invalid:
        before = answered_before()  # the model of this name may be what an equal request has made since
        if before is None:
            raise
        return before
    tags = tags_of("modelTags", params.get("modelTags", []))
    model_arn = arn.bedrock(region, account, f"{custom_model_states.KIND}/imported/{arn.new_id()}")
    data, uri = _source(house, params, model_arn)
    is_checkpoint = _is_checkpoint(data, uri)
    manifest = _manifest(data, uri) if is_checkpoint else {}
    seal = sealing.choose(
        house,
        key,
        member=_KEY,
        parent=_origin(house, manifest),
        model_arn=model_arn,
        region=region,
        authorize=authorize_key,
    )
    if not is_checkpoint:
        artifacts = creation.document_of(house, params, data, uri, model_arn=model_arn) | seal

        def begin() -> dict[str, Any]:
            check_model_name(house, params["modelName"], region)
            name = params["modelName"]
            house.jobs.add(
                creation_kind.KIND, job_arn=model_arn, name=name, region=region, document=artifacts, owner=owner
            )
            house.store.tags.put(model_arn, tags)
            return {"modelArn": model_arn}

        return str(house.store.idempotency.once(scope, token, params, begin)["modelArn"])
    base = house.catalog.usable(manifest["base_id"])
    with sealing.made_in_memory(house, seal, model_arn) as sealed:
        _take(data, uri, manifest, base, house.models.folder(model_arn), sealed)
    _check_network(house, base, model_arn)
    foundation = arn.foundation_model(region, base.full_id)
    document = {
        "customizationType": IMPORTED,
        "baseId": base.id,
        "baseModelArn": foundation,
        "foundationModelArn": foundation,
        "promptFormat": manifest["prompt_format"],
        "promptDay": manifest.get("prompt_day"),
        "source": uri,
        **seal,
    }

    def add() -> dict[str, Any]:
        check_model_name(house, params["modelName"], region)  # another request may have taken it meanwhile
        house.models.add(
            model_arn=model_arn,
            name=params["modelName"],
            region=region,
            created=house.clock.now(),
            document=document,
        )
        house.store.tags.put(model_arn, tags)
        return {"modelArn": model_arn}

    made = ""
    try:
        made = str(house.store.idempotency.once(scope, token, params, add)["modelArn"])
    finally:
        if made != model_arn:  # an equal request was faster, or the name is taken
            shutil.rmtree(house.models.folder(model_arn), ignore_errors=True)
    return made


def _check_network(house: Rooms, base: BaseModel, model_arn: str) -> None:
    """A network that came with the model is run as its base's is: one of another kind is tried. Raises Invalid."""
    own = house.models.network_below(base, model_arn)
    if own.owner is None:
        return
    assert base.folder is not None
    assert own.folder is not None
    try:
        if facts.are_alike(own.folder, base.folder):
            return
        way = launch.demand(own.folder).verdict.way
        if way is not base.way:
            raise Invalid(
                f"modelSourceConfig: its network would be run {way}, and that of {base.id} is run {base.way}: it was "
                "not trained from there. Register it as a base model of its own: `outcrop register`."
            )
    except BaseException:
        shutil.rmtree(house.models.folder(model_arn), ignore_errors=True)
        raise


def _source(house: Rooms, params: Mapping[str, Any], model_arn: str) -> tuple[RoleData, str]:
    if "roleArn" not in params:
        raise Invalid("roleArn: missing. Name a role that may read the objects under modelSourceConfig.")
    source = params["modelSourceConfig"].get("s3DataSource", {}).get("s3Uri")
    if source is None:
        raise Invalid("modelSourceConfig.s3DataSource.s3Uri: missing. Name a folder, s3://bucket/prefix.")
    uri: str = source.rstrip("/")
    return house.data.under(params["roleArn"], source_arn=model_arn), uri


def _is_checkpoint(data: RoleData, uri: str) -> bool:
    """Whether the folder is one of a job's checkpoints. Raises Invalid where nothing can be seen there."""
    if uri.endswith(ENDINGS):
        return False
    try:
        data.find(f"{uri}/{MANIFEST}")
    except Invalid as refused:
        try:
            others = any(not record.key.endswith(f"/{MANIFEST}") for record in data.list_objects(f"{uri}/"))
        except Invalid:
            raise refused from None
        if not others:
            raise
        return False
    return True


def _manifest(data: RoleData, uri: str) -> dict[str, Any]:
    content = data.read(f"{uri}/{MANIFEST}")
    try:
        return read_manifest(content)
    except FileProblem as problem:
        raise Invalid(
            f"{uri}/{MANIFEST}: not what a customization job writes ({problem}). Name a folder under checkpoints/ of a "
            "job's output."
        ) from problem


def _origin(house: Rooms, manifest: Mapping[str, Any]) -> Resource | None:
    """The job that wrote a checkpoint, or the model that it began with, where they are on record and sealed."""
    rows = [house.store.resources.get(named) for member in ("job", "parent") if (named := manifest.get(member))]
    return next((row for row in rows if row is not None and SEAL in row.document), None)


def _take(
    data: RoleData,
    uri: str,
    manifest: Mapping[str, Any],
    base: BaseModel,
    folder: Path,
    seal: FolderSeal | None,
) -> None:
    """All files, each of the right shape, or none: whatever is left by a crash has no row. Raises Invalid."""
    making = folder.with_name(f"{_MAKING}{folder.name}")
    digests = manifest["files"]
    taken = making if seal is None else seal.scratch / making.name
    try:
        taken.mkdir(parents=True)
        for name, digest in digests.items():
            _copy(data, f"{uri}/{name}", taken / name, digest)
        checkpoint_files.check(taken, digests, base, manifest["prompt_format"])
        if seal is not None:
            seal_folder(taken, making, seal.data_key)
        making.rename(folder)
    except OSError as error:
        raise MachineTrouble(
            f"{uri}: cannot be copied here ({error.strerror}). Nothing was made; make room or mend the disk, and ask "
            "again."
        ) from error
    except Invalid as refused:
        raise Invalid(f"{uri}/: {refused.message}" if uri not in refused.message else refused.message) from refused
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _copy(data: RoleData, uri: str, place: Path, digest: str) -> None:
    data.fetch(uri, place)
    if checkpoints.digest_of(place) != digest:
        raise Invalid(f"{uri}: not what the job wrote; its SHA-256 differs. Choose another checkpoint.")


def clear_leftovers(models: Path, *, older_than: datetime) -> None:
    """Remove what imports left behind that were killed: no row names it."""
    for folder in models.glob(f"{_MAKING}*"):
        if folder.stat().st_mtime < older_than.timestamp():
            shutil.rmtree(folder, ignore_errors=True)
