"""The first start: an account, made once, whose secrets are worthless without the key file."""

import multiprocessing
import os
import re
import stat
from datetime import timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from outcrop.access.access import Access
from outcrop.access.names import Kind
from outcrop.access.policies.evaluation import Decision
from outcrop.clock import MovableClock, SystemClock
from outcrop.errors import MachineTrouble
from outcrop.keys.root_key import KEY_BYTES, Sealer
from outcrop.settings import Settings
from outcrop.store.store import Store


def test_the_first_start_makes_an_account_an_administrator_and_a_service_role(access: Access) -> None:
    made = access.installation
    assert re.fullmatch("[1-9][0-9]{11}", made.account)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made.access_key_id)
    assert re.fullmatch("[A-Za-z0-9/+]{40}", made.secret_access_key)
    assert made.service_role_arn == f"arn:aws:iam::{made.account}:role/service-role/OutcropServiceRole"
    credential = access.secret_for(made.access_key_id)
    assert credential is not None
    assert credential.caller.arn == f"arn:aws:iam::{made.account}:user/admin"
    assert credential.secret == made.secret_access_key
    assert (credential.session_token, credential.expires) == (None, None)


def test_the_service_role_serves_bedrock_and_sagemaker_and_reaches_s3_only(access: Access) -> None:
    role = access.installation.service_role_arn
    access.assert_passable(role)
    access.assert_passable(role, "sagemaker.amazonaws.com")
    assert access.role_may(role, "s3:PutObject", "arn:aws:s3:::bucket/key") is Decision.ALLOWED
    assert access.role_may(role, "iam:CreateUser", "*") is Decision.DENIED_IMPLICITLY


def test_a_later_start_finds_the_same_account(access: Access, settings: Settings, clock: MovableClock) -> None:
    again = Store.open(settings)
    assert Access.open(again, settings, clock).installation == access.installation
    again.close()


def _start(home: Path, barrier: Barrier, results: "multiprocessing.SimpleQueue[str]") -> None:
    settings = Settings(home=home)
    barrier.wait()
    store = Store.open(settings)
    made = Access.open(store, settings, SystemClock()).installation
    results.put(f"{made.account} {made.access_key_id} {made.secret_access_key}")
    store.close()


def test_processes_that_start_at_once_make_one_account(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.SimpleQueue()
    processes = [context.Process(target=_start, args=(tmp_path / "home", barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = {results.get() for _ in processes}
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "home" / "keys").iterdir()] == ["service.key"]


def test_no_secret_lies_in_the_database(access: Access, settings: Settings) -> None:
    issued = access.credentials.start_session(
        access.identities.get(Kind.ROLE, "OutcropServiceRole"), name="s", lasting=timedelta(hours=1)
    )
    key = (settings.keys / "service.key").read_text().strip()
    secrets = [access.installation.secret_access_key, issued.secret, issued.session_token, key]
    files = [path for path in settings.home.rglob("*") if path.is_file() and path.parent != settings.keys]
    assert any(access.installation.access_key_id.encode() in path.read_bytes() for path in files), "the id may be read"
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path
        assert bytes.fromhex(key) not in content


def test_the_service_key_is_for_its_owner_alone(access: Access, settings: Settings) -> None:
    assert access.account
    assert stat.S_IMODE(settings.keys.stat().st_mode) == 0o700
    assert stat.S_IMODE((settings.keys / "service.key").stat().st_mode) == 0o600


def test_neither_installation_nor_credential_prints_its_secret(access: Access) -> None:
    made = access.installation
    assert made.secret_access_key not in repr(made)
    assert made.secret_access_key not in repr(access.secret_for(made.access_key_id))


def trouble(store: Store, settings: Settings, clock: MovableClock) -> str:
    with pytest.raises(MachineTrouble) as error:
        Access.open(store, settings, clock)
    return error.value.message


def test_a_missing_service_key_is_said_with_its_place(
    access: Access, store: Store, settings: Settings, clock: MovableClock
) -> None:
    assert access.account
    path = settings.keys / "service.key"
    path.unlink()
    assert trouble(store, settings, clock) == (
        f"{path}: the service key is missing, and the access keys and KMS keys in the database are sealed with it: "
        "nobody can open them without it. Put the file back from a backup of this home, give the key with "
        "OUTCROP_ROOT_KEY or OUTCROP_ROOT_KEY_COMMAND if it was kept elsewhere, or start with another home (--home or "
        "OUTCROP_HOME)."
    )
    assert not path.exists(), "a new key would bury the old secrets"


def test_a_service_key_that_others_may_read_is_refused(
    access: Access, store: Store, settings: Settings, clock: MovableClock
) -> None:
    assert access.account
    path = settings.keys / "service.key"
    path.chmod(0o644)
    assert trouble(store, settings, clock) == (
        f"{path}: others on this machine may read the service key. Run: chmod 600 '{path}'"
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_an_unreadable_service_key_is_said(
    access: Access, store: Store, settings: Settings, clock: MovableClock
) -> None:
    assert access.account
    path = settings.keys / "service.key"
    path.chmod(0o000)
    assert trouble(store, settings, clock).startswith(f"{path}: the service key cannot be read (")


@pytest.mark.parametrize("content", ["", "abc", "zz" * KEY_BYTES, "00" * (KEY_BYTES + 1)])
def test_a_broken_service_key_is_said(
    access: Access, store: Store, settings: Settings, clock: MovableClock, content: str
) -> None:
    assert access.account
    path = settings.keys / "service.key"
    path.write_text(content)
    assert trouble(store, settings, clock) == (
        f"{path}: expected 64 hexadecimal digits, found something else. Put the file back from a backup."
    )


def test_the_service_key_of_another_home_is_refused(
    access: Access, store: Store, settings: Settings, clock: MovableClock
) -> None:
    assert access.account
    path = settings.keys / "service.key"
    path.write_text("ab" * KEY_BYTES)
    assert trouble(store, settings, clock) == (
        f"{path}: this is the service key of another installation than the database. "
        "Put back the key file and the database from the same backup."
    )


def test_a_sealed_secret_opens_only_with_its_key_and_for_its_id() -> None:
    sealer = Sealer(bytes(KEY_BYTES))
    sealed = sealer.seal("秘密", about="AKIA1")
    assert sealer.open(sealed, about="AKIA1") == "秘密"
    assert sealer.open(sealed, about="AKIA2") is None
    assert Sealer(b"x" * KEY_BYTES).open(sealed, about="AKIA1") is None
    assert sealer.seal("秘密", about="AKIA1") != sealed
