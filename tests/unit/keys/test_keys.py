"""Keys on record: their clock, their material, and the root key that seals it."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from outcrop.access.names import Kind
from outcrop.access.records.identities import Identity
from outcrop.audit.entry import Entry
from outcrop.cli.app import run
from outcrop.cli.keys import NEW_COMMAND, NEW_KEY, change_root
from outcrop.cli.supervisor import lock_home
from outcrop.clock import MovableClock
from outcrop.errors import Invalid, MachineTrouble, ServiceRefusal
from outcrop.house import House
from outcrop.keys.key import KeyState, KmsKey
from outcrop.keys.specs import SPECS, KeyUsage
from outcrop.settings import Settings

CONTEXT = {"tenant": "jane"}
NEW_ROOT = "5a" * 32


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def house(settings: Settings, clock: MovableClock) -> Iterator[House]:
    with House.open(settings, clock) as opened:
        yield opened


def made(house: House, spec: str = "SYMMETRIC_DEFAULT", usage: KeyUsage = KeyUsage.ENCRYPT_DECRYPT) -> KmsKey:
    return house.keys.create(
        region="us-east-1", spec=SPECS[spec], usage=usage, description="", policy="{}", tags={"a": "b"}
    )


def refused(code: str, ask: Any, *given: Any, **members: Any) -> str:
    with pytest.raises(ServiceRefusal) as refusal:
        ask(*given, **members)
    assert refusal.value.code == code
    return refusal.value.message


def test_a_key_is_deleted_with_all_that_hangs_on_it_when_its_days_are_over(house: House, clock: MovableClock) -> None:
    key, keys = made(house), house.keys
    house.key_aliases.create("alias/a", key)
    blob = keys.encrypt(key, b"secret", context={})
    waiting = keys.schedule_deletion(key.arn, 7)
    assert (waiting.state, waiting.deletion_at) == (KeyState.PENDING_DELETION, clock.now() + timedelta(days=7))
    assert refused("KMSInvalidStateException", keys.decrypt, keys.find(key.arn), blob, context={}) == (
        f"{key.arn} is pending deletion."
    )
    clock.move(timedelta(days=6, hours=23))
    keys.turn()
    assert keys.find(key.arn).state is KeyState.PENDING_DELETION
    clock.move(timedelta(hours=1))
    keys.turn()
    assert (keys.get(key.arn), keys.records.materials(key.arn), house.store.tags.get(key.arn)) == (None, [], {})
    assert house.key_aliases.of_key(key.id) == []


def test_a_key_that_is_due_is_gone_before_anybody_swept(house: House, clock: MovableClock) -> None:
    key = made(house)
    house.keys.schedule_deletion(key.arn, 30)
    clock.move(timedelta(days=30))
    assert refused("NotFoundException", house.keys.find, key.arn) == f"Key '{key.arn}' does not exist"


def test_a_deletion_that_is_cancelled_leaves_the_key_disabled(house: House, clock: MovableClock) -> None:
    key = made(house)
    assert refused("KMSInvalidStateException", house.keys.cancel_deletion, key.arn) == (
        f"{key.arn} is not pending deletion."
    )
    house.keys.schedule_deletion(key.arn, 7)
    house.keys.cancel_deletion(key.arn)
    clock.move(timedelta(days=8))
    assert house.keys.find(key.arn).state is KeyState.DISABLED


@pytest.mark.parametrize("days", [0, 6, 31])
def test_a_deletion_waits_a_week_to_a_month(house: House, days: int) -> None:
    assert "PendingWindowInDays" in refused("ValidationException", house.keys.schedule_deletion, made(house).arn, days)


def test_material_is_rotated_by_the_clock_and_old_ciphertext_still_opens(house: House, clock: MovableClock) -> None:
    key, keys = made(house), house.keys
    keys.set_rotation(key.arn, 90)
    before = keys.encrypt(keys.find(key.arn), b"old", context=CONTEXT)
    clock.move(timedelta(days=90))
    after = keys.encrypt(keys.find(key.arn), b"new", context=CONTEXT)
    key = keys.find(key.arn)
    assert key.next_rotation == clock.now() + timedelta(days=90)
    assert [each.made_by for each in keys.records.materials(key.arn)] == ["", "AUTOMATIC"]
    old, new = (keys.decrypt(key, blob, context=CONTEXT) for blob in (before, after))
    assert (old.plaintext, new.plaintext) == (b"old", b"new")
    assert old.material_id != new.material_id == key.material_id


def test_a_rotation_that_nobody_waits_for_happens_too(house: House, clock: MovableClock) -> None:
    key = made(house)
    house.keys.set_rotation(key.arn, 365)
    clock.move(timedelta(days=365))
    house.keys.turn()
    house.keys.turn()
    assert len(house.keys.records.materials(key.arn)) == 2


def test_what_was_encrypted_opens_after_a_restart(house: House, settings: Settings, clock: MovableClock) -> None:
    key = made(house)
    blob = house.keys.encrypt(key, b"secret", context=CONTEXT)
    house.close()
    with House.open(settings, clock) as again:
        assert again.keys.decrypt(again.keys.find(key.arn), blob, context=CONTEXT).plaintext == b"secret"


def test_no_material_lies_in_the_home_in_clear(house: House, settings: Settings) -> None:
    key = made(house)
    material = house.keys.records.materials(key.arn)[0]
    opened = house.access.credentials.sealer.open_bytes(material.sealed, about=f"kms {key.arn} {material.id}")
    assert opened is not None
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    assert [path for path in files if opened in path.read_bytes()] == []
    assert [path for path in files if key.id.encode() in path.read_bytes()] != []


def test_material_of_one_key_is_none_of_another(house: House) -> None:
    one, other = made(house), made(house)
    records = house.keys.records
    records.set_sealed(records.materials(one.arn)[0], records.materials(other.arn)[0].sealed)
    with pytest.raises(MachineTrouble, match=r"was not sealed with this home's root key\. Put back the root key"):
        house.keys.encrypt(one, b"secret", context={})


@pytest.mark.parametrize("outside", [False, True])
def test_a_new_root_key_opens_everything_and_the_old_one_nothing(
    house: House, settings: Settings, clock: MovableClock, outside: bool
) -> None:
    key, signer = made(house), made(house, "ECC_NIST_P256", KeyUsage.SIGN_VERIFY)
    blob = house.keys.encrypt(key, b"secret", context=CONTEXT)
    public, installation = house.keys.public_key(signer), house.access.installation
    session = house.access.credentials.start_session(_role(house), name="s", lasting=timedelta(hours=1))
    house.close()
    file = settings.keys / "service.key"
    old = file.read_text()

    told = change_root(settings, {NEW_KEY: NEW_ROOT} if outside else {})

    assert told[0] == "2 materials of KMS keys and all other secrets are sealed with the new root key."
    now = Settings(home=settings.home, root_key=NEW_ROOT) if outside else settings
    assert file.exists() is not outside
    with House.open(now, clock) as again:
        assert again.keys.decrypt(again.keys.find(key.arn), blob, context=CONTEXT).plaintext == b"secret"
        assert again.keys.public_key(again.keys.find(signer.arn)) == public
        assert again.access.installation == installation
        found = again.access.secret_for(session.key_id)
        assert found is not None
        assert (found.secret, found.session_token) == (session.secret, session.session_token)
    with pytest.raises(MachineTrouble, match="the service key of another installation than the database"):
        House.open(Settings(home=settings.home, root_key=old.strip()), clock)


def _role(house: House) -> Identity:
    return house.access.identities.get(Kind.ROLE, "OutcropServiceRole")


def test_a_rewrapping_that_was_killed_before_its_file_was_in_place_is_ended_by_the_next_start(
    house: House, settings: Settings, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made(house)
    blob = house.keys.encrypt(key, b"secret", context={})
    house.close()
    with monkeypatch.context() as patched:
        patched.setattr("outcrop.keys.root_key.put_in_place", _killed)
        with pytest.raises(KeyboardInterrupt):
            change_root(settings, {})
    assert (settings.keys / "service.key.next").exists()
    with House.open(settings, clock) as again:
        assert again.keys.decrypt(again.keys.find(key.arn), blob, context={}).plaintext == b"secret"
    assert [path.name for path in settings.keys.iterdir()] == ["service.key"]


def _killed(_keys: Path) -> None:
    raise KeyboardInterrupt


def test_a_rewrapping_that_failed_leaves_the_old_key_in_use(
    house: House, settings: Settings, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made(house)
    house.close()
    with monkeypatch.context() as patched:
        patched.setattr("outcrop.access.installation.reseal", lambda *_: _killed(settings.keys))
        with pytest.raises(KeyboardInterrupt):
            change_root(settings, {})
    with House.open(settings, clock) as again:
        assert again.keys.encrypt(again.keys.find(key.arn), b"secret", context={})


def test_the_root_key_comes_from_a_command(tmp_path: Path, clock: MovableClock) -> None:
    script = tmp_path / "root key.py"
    script.write_text(f"print('{NEW_ROOT}')\n")
    settings = Settings(home=tmp_path / "home", root_key_command=f"{sys.executable} '{script}'")
    with House.open(settings, clock) as house:
        assert made(house).state is KeyState.ENABLED
    assert not (settings.keys / "service.key").exists()
    assert NEW_ROOT not in repr(Settings(home=tmp_path, root_key=NEW_ROOT))
    script.write_text("raise SystemExit('the vault is closed')\n")
    with pytest.raises(MachineTrouble, match=r"OUTCROP_ROOT_KEY_COMMAND: the command ended .* \(the vault is closed\)"):
        House.open(settings, clock)
    with pytest.raises(
        MachineTrouble, match="the service key is missing, and the access keys and KMS keys in the data"
    ):
        House.open(Settings(home=settings.home), clock)
    with pytest.raises(MachineTrouble, match="the service key of another installation than the database"):
        House.open(Settings(home=settings.home, root_key="00" * 32), clock)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"root_key": "short"}, "OUTCROP_ROOT_KEY: expected 64 hexadecimal digits, found something else"),
        ({"root_key": NEW_ROOT, "root_key_command": "true"}, "are both set. Unset one"),
        ({"root_key_command": "no-such-program-anywhere"}, "the command could not be run"),
        ({"root_key_command": "'"}, "the command could not be run"),
        ({"root_key_command": "true"}, "OUTCROP_ROOT_KEY_COMMAND: expected 64 hexadecimal digits"),
    ],
)
def test_a_root_key_that_is_none_is_told(tmp_path: Path, clock: MovableClock, given: Any, sentence: str) -> None:
    with pytest.raises(MachineTrouble, match=sentence):
        House.open(Settings(home=tmp_path / "home", **given), clock)


def test_of_two_new_root_keys_neither_is_taken(settings: Settings, house: House) -> None:
    house.close()
    with pytest.raises(Invalid, match="are both set"):
        change_root(settings, {NEW_KEY: NEW_ROOT, NEW_COMMAND: "true"})


def test_the_command_rewraps_a_home_that_is_stopped(
    house: House, settings: Settings, clock: MovableClock, capsys: pytest.CaptureFixture[str]
) -> None:
    key = made(house)
    signing = house.trail_keys.current()
    signed = house.trail_keys.sign(signing, b"digest")
    house.audit.record(a_change(clock))
    house.audit.flush()
    house.close()
    with lock_home(settings):
        assert run(["keys", "rewrap", "--home", str(settings.home)]) == 1
    assert "another `outcrop up` runs on this home. Stop it first" in capsys.readouterr().err
    assert run(["keys", "rewrap", "--home", str(settings.home)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 materials of KMS keys and all other secrets are sealed with the new root key.",
        f"It lies in {settings.keys / 'service.key'}. Put it into your backup.",
    ]
    with House.open(settings, clock) as again:
        assert again.keys.find(key.arn).id == key.id
        assert again.trail_keys.sign(again.trail_keys.current(), b"digest") == signed
        again.audit.record(a_change(clock))
        assert again.audit.write()
        assert (again.audit.verify().entries, again.audit.verify().broken) == (2, None)


def a_change(clock: MovableClock) -> Entry:
    """The entry of a call that changed something."""
    return Entry(
        at=clock.now(), service="iam", operation="CreateUser", region="us-east-1", caller="arn:jane", user_id="", key_id="",
        session="", resources=(), source_ip="", user_agent="", request_id=str(clock.now()), status=200, code="",
        read_only=False, data=False,
    )  # fmt: skip


def test_there_is_nothing_to_rewrap_where_no_home_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "rewrap", "--home", str(tmp_path / "none")]) == 1
    assert "there is no home here yet" in capsys.readouterr().err
