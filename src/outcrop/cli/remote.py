"""Remote models come into the catalogue and leave it. Registering sends nothing: whether the key is right shows at the
first invocation."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi, RemoteModel, aws_url, remote_url
from outcrop.cli.fetching import check_id
from outcrop.clock import SystemClock
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.invocation.remote.credentials import AwsKeys, BearerKey, RemoteKey
from outcrop.network.model_task import ModelTask
from outcrop.settings import Settings

_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
_KEY = re.compile(r"[\x21-\x7e]+")
"What may stand in a header."
_ASKED_OVER_THE_NETWORK = ("iam-role", "container-role")
"Sources of credentials that botocore would look for at addresses of a cloud."


@dataclass(frozen=True, kw_only=True)
class RemoteOptions:
    """The options of `outcrop register` that speak of a remote model."""

    url: str | None
    model: str | None
    api_key_from: str | None
    aws_region: str | None
    aws_profile: str | None
    completes: bool
    embeds: bool
    name: str | None
    provider: str | None

    @property
    def asks_for_one(self) -> bool:
        return self.url is not None or self.aws_region is not None


def register_remote(settings: Settings, model_id: str, options: RemoteOptions) -> BaseModel:
    """Add a remote model with its credentials, or change one that is there. Raises Invalid."""
    remote = _remote(options)
    with House(settings, SystemClock()) as house:
        key = _key(options, house)
        house.catalog.check_free_for_remote(check_id(model_id))
        entry = house.catalog.register_remote(
            model_id,
            remote,
            name=options.name,
            provider=options.provider,
            task=ModelTask.EMBEDDING if options.embeds else None,
        )
        house.remote_credentials.keep(entry.id, remote, key)
        house.engines.forget(entry.id)
    return entry


def unregister_remote(settings: Settings, model_id: str) -> BaseModel:
    """Take a remote model out of the catalogue, and forget its credentials. Raises NotFound, Invalid."""
    with House(settings, SystemClock()) as house:
        entry = house.catalog.withdraw_remote(model_id)
        house.remote_credentials.forget(entry.id)
        house.engines.forget(entry.id)
    return entry


def described(entry: BaseModel, *, has_key: bool) -> str:
    """The sentences for the person who registered a model: where it is, and what that means."""
    assert entry.remote is not None, "the entry of a remote model"
    remote = entry.remote
    what = f"{remote.model} of Bedrock in {remote.region}" if remote.api is RemoteApi.BEDROCK else remote.model
    key = "with its credentials sealed" if has_key else "without credentials"
    return (
        f"{entry.id} is in the catalogue: {what} at {remote.host}, {key}. What it is asked leaves this machine for "
        "that host; nothing was sent yet."
    )


def _remote(options: RemoteOptions) -> RemoteModel:
    if not options.model:
        raise Invalid("--model: missing. Give the name that the server has for the model.")
    if options.aws_region is None:
        assert options.url is not None, "one of the two is given"
        if options.aws_profile is not None:
            raise Invalid("--aws-profile: is for models of real Bedrock. Give --aws-region too, or leave it out.")
        url = remote_url(options.url)
        return RemoteModel(api=RemoteApi.OPENAI, url=url, model=options.model, completes=options.completes)
    if not _REGION.fullmatch(options.aws_region):
        raise Invalid(f"--aws-region: {options.aws_region!r} is no region of AWS. Write it as us-east-1.")
    if options.completes:
        raise Invalid("--completions: Bedrock has no such path. Leave it out.")
    url = remote_url(options.url) if options.url is not None else aws_url(options.aws_region)
    return RemoteModel(api=RemoteApi.BEDROCK, url=url, model=options.model, region=options.aws_region)


def _key(options: RemoteOptions, house: House) -> RemoteKey | None:
    if options.api_key_from is not None:
        if options.aws_profile is not None:
            raise Invalid("--api-key-from and --aws-profile: both name credentials. Give one of them.")
        return BearerKey(_read_key(options.api_key_from))
    if options.aws_region is None:
        return None
    keys = _aws_keys(options.aws_profile)
    if house.access.secret_for(keys.access_key_id) is not None:
        raise Invalid(
            f"{keys.access_key_id} is an access key of this installation, which AWS does not know: the environment has "
            "what `outcrop env` prints. Name a profile of AWS with --aws-profile."
        )
    return keys


def _read_key(source: str) -> str:
    """The key in an environment variable, or in a file. Raises Invalid, without telling what was found."""
    key = os.environ.get(source)
    try:
        key = (Path(source).expanduser().read_text("utf-8") if key is None else key).strip()
    except (OSError, ValueError) as error:
        # Not what was given: it may be the key itself.
        raise Invalid(
            "--api-key-from: what was given is neither an environment variable nor a file of text. The key itself is "
            "never given on the command line, where others could read it."
        ) from error
    if not _KEY.fullmatch(key):
        raise Invalid(f"--api-key-from: {source} holds no key of one line without spaces. Put the key alone in it.")
    return key


def _aws_keys(profile: str | None) -> AwsKeys:
    """The credentials of a profile, or those that AWS's own programs would find here. Raises Invalid."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    try:
        session = Session(profile=profile)
        resolver = session.get_component("credential_provider")
        for source in _ASKED_OVER_THE_NETWORK:
            resolver.remove(source)
        found = session.get_credentials()
        frozen = None if found is None else found.get_frozen_credentials()
    except BotoCoreError as error:
        raise Invalid(f"--aws-profile: {error}.") from error
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise Invalid(
            "No credentials of AWS were found. Name a profile with --aws-profile, or a Bedrock API key with "
            "--api-key-from."
        )
    return AwsKeys(
        access_key_id=frozen.access_key, secret_access_key=frozen.secret_key, session_token=frozen.token or ""
    )
