"""KMS as boto3 asks for it: keys, aliases, grants, policies, encryption, signatures and codes, and every refusal."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.support.policies import policy
from tests.support.servers import Running, running_server

_numbers = itertools.count()
CONTEXT = {"tenant": "jane", "stage": "test"}
ABSENT = "12345678-1234-4234-8234-123456789012"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("kms") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def kms(server: Running) -> Any:
    return server.client("kms", config={"parameter_validation": False})


@pytest.fixture
def key(kms: Any) -> str:
    made: str = kms.create_key()["KeyMetadata"]["Arn"]
    return made


@pytest.fixture(scope="module")
def account(server: Running) -> str:
    return server.platform.account


@pytest.fixture
def jane(server: Running) -> tuple[Any, str]:
    """A client of a user who may nothing, and the user's name."""
    iam, name = server.client("iam"), f"jane-{next(_numbers)}"
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    return server.client("kms", **keys), name


def refusal(call: Any, **members: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**members)
    error = refused.value.response["Error"]
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


def new_key(kms: Any, **members: Any) -> str:
    made: str = kms.create_key(**members)["KeyMetadata"]["Arn"]
    return made


def test_a_key_is_described_as_it_was_made(kms: Any, account: str) -> None:
    made = kms.create_key(Description="for tests", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{account}:key/{made['KeyId']}"
    told = {name: made[name] for name in ("Enabled", "Description", "KeyUsage", "KeyState", "Origin", "KeyManager")}
    assert told == {
        "Enabled": True, "Description": "for tests", "KeyUsage": "ENCRYPT_DECRYPT", "KeyState": "Enabled",
        "Origin": "AWS_KMS", "KeyManager": "CUSTOMER",
    }  # fmt: skip
    assert (made["KeySpec"], made["EncryptionAlgorithms"]) == ("SYMMETRIC_DEFAULT", ["SYMMETRIC_DEFAULT"])
    assert kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"] == made
    assert {"KeyId": made["KeyId"], "KeyArn": made["Arn"]} in kms.list_keys(Limit=1000)["Keys"]
    kms.update_key_description(KeyId=made["KeyId"], Description="other")
    assert kms.describe_key(KeyId=made["Arn"])["KeyMetadata"]["Description"] == "other"


@pytest.mark.parametrize("context", [{}, CONTEXT])
def test_what_is_encrypted_is_decrypted_without_naming_the_key(kms: Any, key: str, context: dict[str, str]) -> None:
    sent = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)
    assert (sent["KeyId"], sent["EncryptionAlgorithm"]) == (key, "SYMMETRIC_DEFAULT")
    opened = kms.decrypt(CiphertextBlob=sent["CiphertextBlob"], EncryptionContext=dict(reversed(context.items())))
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", key)


def test_the_context_is_bound_to_the_ciphertext(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    for other in ({}, {"tenant": "jane"}, {**CONTEXT, "tenant": "Jane"}, {**CONTEXT, "more": "1"}):
        assert refusal(kms.decrypt, CiphertextBlob=blob, EncryptionContext=other)[0] == "InvalidCiphertextException"


def test_a_damaged_blob_is_refused(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    for broken in (b"junk", blob[:-1], blob[:-1] + bytes([blob[-1] ^ 1]), blob + b"0", b"\2" + blob[1:]):
        assert refusal(kms.decrypt, CiphertextBlob=broken)[0] == "InvalidCiphertextException", broken
    stranger = blob[:1] + bytes(16) + blob[17:]
    code, sentence = refusal(kms.decrypt, CiphertextBlob=stranger)
    assert code == "AccessDeniedException"
    assert sentence.startswith("The ciphertext refers to a customer master key that does not exist")


def test_another_key_than_that_of_the_ciphertext_is_refused(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    other = new_key(kms)
    assert kms.decrypt(CiphertextBlob=blob, KeyId=key)["Plaintext"] == b"secret"
    assert refusal(kms.decrypt, CiphertextBlob=blob, KeyId=other) == (
        "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.",
    )  # fmt: skip


def test_what_one_key_encrypted_another_takes_over(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    other = new_key(kms)
    moved = kms.re_encrypt(
        CiphertextBlob=blob, SourceEncryptionContext=CONTEXT, DestinationKeyId=other,
        DestinationEncryptionContext={"now": "here"},
    )  # fmt: skip
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, other)
    opened = kms.decrypt(CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"now": "here"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", other)


@pytest.mark.parametrize(
    ("asked", "length"), [({"KeySpec": "AES_256"}, 32), ({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)]
)
def test_a_data_key_comes_in_clear_and_encrypted(kms: Any, key: str, asked: dict[str, Any], length: int) -> None:
    made = kms.generate_data_key(KeyId=key, EncryptionContext=CONTEXT, **asked)
    assert len(made["Plaintext"]) == length
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    blind = kms.generate_data_key_without_plaintext(KeyId=key, **asked)
    assert "Plaintext" not in blind
    assert len(kms.decrypt(CiphertextBlob=blind["CiphertextBlob"])["Plaintext"]) == length


def test_a_data_key_has_one_length(kms: Any, key: str) -> None:
    sentence = "Please specify either number of bytes or key spec."
    assert refusal(kms.generate_data_key, KeyId=key) == ("ValidationException", sentence)
    asked = {"KeySpec": "AES_256", "NumberOfBytes": 32}
    assert refusal(kms.generate_data_key, KeyId=key, **asked) == ("ValidationException", sentence)


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "ECC_SECG_P256K1"])
def test_a_pair_of_keys_is_made_for_use_elsewhere(kms: Any, key: str, spec: str) -> None:
    made = kms.generate_data_key_pair(KeyId=key, KeyPairSpec=spec, EncryptionContext=CONTEXT)
    private = serialization.load_der_private_key(made["PrivateKeyPlaintext"], None)
    der, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    assert private.public_key().public_bytes(der, form) == made["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    blind = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec=spec)
    assert "PrivateKeyPlaintext" not in blind


def test_random_bytes_differ(kms: Any) -> None:
    first, second = (kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(2))
    assert (len(first), first != second) == (32, True)


RSA = ["RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384"]


@pytest.mark.parametrize(
    ("spec", "algorithms"),
    [("RSA_2048", RSA), ("ECC_NIST_P256", ["ECDSA_SHA_256"]), ("ECC_NIST_P384", ["ECDSA_SHA_384"]),
     ("ECC_NIST_P521", ["ECDSA_SHA_512"]), ("ECC_SECG_P256K1", ["ECDSA_SHA_256"])],
)  # fmt: skip
def test_a_signature_is_good_here_and_elsewhere(kms: Any, spec: str, algorithms: list[str]) -> None:
    key = new_key(kms, KeySpec=spec, KeyUsage="SIGN_VERIFY")
    told = kms.get_public_key(KeyId=key)
    assert (told["KeySpec"], told["KeyUsage"]) == (spec, "SIGN_VERIFY")
    public = serialization.load_der_public_key(told["PublicKey"])
    for algorithm in algorithms:
        asked = {"KeyId": key, "SigningAlgorithm": algorithm, "Message": b"a message"}
        signature = kms.sign(**asked)["Signature"]
        assert kms.verify(**asked, Signature=signature)["SignatureValid"] is True
        bits = algorithm[-3:]
        hashed = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[bits]
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, b"a message", ec.ECDSA(hashed))
        else:
            assert isinstance(public, rsa.RSAPublicKey)
            pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
            public.verify(signature, b"a message", pss if "PSS" in algorithm else padding.PKCS1v15(), hashed)
        digest = hashlib.new(f"sha{bits}", b"a message").digest()
        assert kms.verify(**{**asked, "Message": digest, "MessageType": "DIGEST"}, Signature=signature)[
            "SignatureValid"
        ]
        wrong = {**asked, "Message": b"another", "Signature": signature}
        assert refusal(kms.verify, **wrong)[0] == "KMSInvalidSignatureException"
        assert refusal(kms.sign, **{**asked, "Message": b"short", "MessageType": "DIGEST"}) == (
            "ValidationException", f"Digest is invalid length for algorithm {algorithm}.",
        )  # fmt: skip


def test_an_rsa_key_encrypts_what_fits(kms: Any) -> None:
    key = new_key(kms, KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")
    for algorithm, most in (("RSAES_OAEP_SHA_1", 214), ("RSAES_OAEP_SHA_256", 190)):
        asked = {"KeyId": key, "EncryptionAlgorithm": algorithm}
        blob = kms.encrypt(**asked, Plaintext=b"s" * most)["CiphertextBlob"]
        assert kms.decrypt(**asked, CiphertextBlob=blob)["Plaintext"] == b"s" * most
        assert refusal(kms.encrypt, **asked, Plaintext=b"s" * (most + 1)) == (
            "ValidationException",
            f"Algorithm {algorithm} and key spec RSA_2048 cannot encrypt data larger than {most} bytes.",
        )
        assert refusal(kms.decrypt, **asked, CiphertextBlob=blob[::-1])[0] == "InvalidCiphertextException"
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"s")[0] == "InvalidKeyUsageException"


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_a_code_is_verified_here_only(kms: Any, bits: int) -> None:
    key = new_key(kms, KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")
    asked = {"KeyId": key, "MacAlgorithm": f"HMAC_SHA_{bits}", "Message": b"a message"}
    code = kms.generate_mac(**asked)["Mac"]
    assert len(code) == bits // 8
    assert kms.verify_mac(**asked, Mac=code)["MacValid"] is True
    assert refusal(kms.verify_mac, **asked, Mac=code[::-1])[0] == "KMSInvalidMacException"
    assert refusal(kms.get_public_key, KeyId=key)[0] == "UnsupportedOperationException"


def test_a_key_is_good_for_its_usage_only(kms: Any, key: str) -> None:
    signer = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert refusal(kms.encrypt, KeyId=signer, Plaintext=b"s") == (
        "InvalidKeyUsageException", f"{signer} key usage is SIGN_VERIFY which is not valid for Encrypt.",
    )  # fmt: skip
    assert refusal(kms.generate_data_key, KeyId=signer, KeySpec="AES_256")[0] == "InvalidKeyUsageException"
    signing = {"Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    assert refusal(kms.sign, KeyId=key, **signing) == (
        "InvalidKeyUsageException", f"{key} key usage is ENCRYPT_DECRYPT which is not valid for Sign.",
    )  # fmt: skip
    assert refusal(kms.sign, KeyId=signer, **{**signing, "SigningAlgorithm": "ECDSA_SHA_384"})[0] == (
        "InvalidKeyUsageException"
    )
    for call in (kms.enable_key_rotation, kms.rotate_key_on_demand, kms.get_key_rotation_status):
        assert refusal(call, KeyId=signer)[0] == "UnsupportedOperationException"


@pytest.mark.parametrize(
    ("members", "code", "sentence"),
    [
        ({"MultiRegion": True}, "UnsupportedOperationException", "MultiRegion: multi-Region keys are not built"),
        ({"Origin": "EXTERNAL"}, "UnsupportedOperationException", "Origin: EXTERNAL is not built"),
        ({"CustomKeyStoreId": "cks-1"}, "UnsupportedOperationException", "CustomKeyStoreId: custom key stores are not"),
        ({"XksKeyId": "x"}, "UnsupportedOperationException", "XksKeyId: external key stores are not built"),
        ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException", "KeySpec: keys of the spec SM2"),
        ({"KeySpec": "RSA_2048"}, "ValidationException", "You must specify a KeyUsage value for all KMS keys except"),
        (
            {"KeySpec": "ECC_NIST_P256", "KeyUsage": "ENCRYPT_DECRYPT"}, "ValidationException",
            "KeyUsage ENCRYPT_DECRYPT is not compatible with KeySpec ECC_NIST_P256",
        ),
        ({"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}, "UnsupportedOperationException", "KeyUsage: KEY_AG"),
        ({"Policy": "no policy"}, "MalformedPolicyDocumentException", "This policy contains invalid Json"),
        ({"Tags": [{"TagKey": "aws:a", "TagValue": ""}]}, "TagException", "Tags: the key 'aws:a' begins with aws:"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_be_made_is_refused_by_name(kms: Any, members: Any, code: str, sentence: str) -> None:
    found = refusal(kms.create_key, **members)
    assert found[0] == code
    assert found[1].startswith(sentence)


@pytest.mark.parametrize(
    ("call", "members"),
    [
        ("replicate_key", {"KeyId": ABSENT, "ReplicaRegion": "eu-west-1"}),
        ("update_primary_region", {"KeyId": ABSENT, "PrimaryRegion": "eu-west-1"}),
        ("create_custom_key_store", {"CustomKeyStoreName": "a"}),
        ("describe_custom_key_stores", {}),
        ("get_parameters_for_import", {"KeyId": ABSENT, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
        ("delete_imported_key_material", {"KeyId": ABSENT}),
    ],
)  # fmt: skip
def test_what_is_not_built_says_so_by_name(kms: Any, call: str, members: Any) -> None:
    name = kms.meta.method_to_api_mapping[call]
    assert refusal(getattr(kms, call), **members)[1].startswith(f"{name} is not built in Outcrop yet.")


def test_a_disabled_key_does_nothing_until_it_is_enabled(kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    told = ("DisabledException", f"{key} is disabled.")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"s") == told
    assert refusal(kms.decrypt, CiphertextBlob=blob) == told
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == told
    assert refusal(kms.re_encrypt, CiphertextBlob=blob, DestinationKeyId=key) == told
    assert refusal(kms.enable_key_rotation, KeyId=key) == told
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def test_a_key_that_waits_for_its_deletion_is_used_by_nobody(kms: Any, key: str, account: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    waiting = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert (waiting["KeyId"], waiting["KeyState"], waiting["PendingWindowInDays"]) == (key, "PendingDeletion", 7)
    told = ("KMSInvalidStateException", f"{key} is pending deletion.")
    grantee = {"GranteePrincipal": f"arn:aws:iam::{account}:user/admin", "Operations": ["Encrypt"]}
    for call, members in (
        (kms.encrypt, {"Plaintext": b"s"}),
        (kms.enable_key, {}),
        (kms.disable_key, {}),
        (kms.schedule_key_deletion, {}),
        (kms.update_key_description, {"Description": "d"}),
        (kms.tag_resource, {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        (kms.enable_key_rotation, {}),
        (kms.get_key_rotation_status, {}),
        (kms.create_grant, grantee),
    ):
        assert refusal(call, KeyId=key, **members) == told, call
    assert refusal(kms.create_alias, AliasName="alias/late", TargetKeyId=key) == told
    assert refusal(kms.decrypt, CiphertextBlob=blob) == told
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["DeletionDate"] == waiting["DeletionDate"]
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert refusal(kms.cancel_key_deletion, KeyId=key) == (
        "KMSInvalidStateException", f"{key} is not pending deletion.",
    )  # fmt: skip
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def test_an_alias_stands_for_a_key_and_can_move(kms: Any, key: str, account: str) -> None:
    name, other = f"alias/a/{next(_numbers)}", new_key(kms)
    kms.create_alias(AliasName=name, TargetKeyId=key)
    arn = f"arn:aws:kms:us-east-1:{account}:{name}"
    assert refusal(kms.create_alias, AliasName=name, TargetKeyId=other) == (
        "AlreadyExistsException", f"An alias with the name {arn} already exists",
    )  # fmt: skip
    for spelled in (name, arn):
        assert kms.encrypt(KeyId=spelled, Plaintext=b"s")["KeyId"] == key
        assert kms.describe_key(KeyId=spelled)["KeyMetadata"]["Arn"] == key
    assert [each["AliasName"] for each in kms.list_aliases(KeyId=key)["Aliases"]] == [name]
    kms.update_alias(AliasName=name, TargetKeyId=other)
    assert kms.encrypt(KeyId=name, Plaintext=b"s")["KeyId"] == other
    told = next(each for each in kms.list_aliases(Limit=100)["Aliases"] if each["AliasName"] == name)
    assert (told["AliasArn"], told["TargetKeyId"]) == (arn, other.rpartition("/")[2])
    assert refusal(kms.disable_key, KeyId=name) == ("NotFoundException", f"Invalid keyId '{name}'")
    kms.delete_alias(AliasName=name)
    assert refusal(kms.encrypt, KeyId=name, Plaintext=b"s") == ("NotFoundException", f"Alias {arn} is not found.")
    assert refusal(kms.delete_alias, AliasName=name) == ("NotFoundException", f"Alias {arn} is not found.")


@pytest.mark.parametrize(
    ("name", "code", "sentence"),
    [
        ("nothing", "ValidationException", "Invalid identifier"),
        ("alias/", "ValidationException", "Invalid identifier"),
        ("alias/aws/s3", "NotAuthorizedException", "alias/aws/s3: aliases under alias/aws/ are AWS's own"),
        ("alias/a:b", "ValidationException", "alias/a:b contains invalid characters for an alias"),
    ],
)
def test_an_alias_has_a_form(kms: Any, key: str, name: str, code: str, sentence: str) -> None:
    found = refusal(kms.create_alias, AliasName=name, TargetKeyId=key)
    assert (found[0], found[1].startswith(sentence)) == (code, True)


def test_an_alias_means_a_key_of_the_kind_it_was_made_for(kms: Any, key: str) -> None:
    name = f"alias/kind-{next(_numbers)}"
    kms.create_alias(AliasName=name, TargetKeyId=key)
    signer = new_key(kms, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    assert refusal(kms.update_alias, AliasName=name, TargetKeyId=signer)[0] == "ValidationException"
    assert refusal(kms.create_alias, AliasName="alias/b", TargetKeyId=name) == (
        "ValidationException", "Aliases must refer to keys. Not aliases",
    )  # fmt: skip


def test_a_key_that_is_not_here_is_told_as_kms_does(kms: Any, account: str, key: str) -> None:
    arn = f"arn:aws:kms:us-east-1:{account}:key/{ABSENT}"
    assert refusal(kms.describe_key, KeyId=ABSENT) == ("NotFoundException", f"Key '{arn}' does not exist")
    assert refusal(kms.describe_key, KeyId=arn) == ("NotFoundException", f"Key '{arn}' does not exist")
    assert refusal(kms.describe_key, KeyId="nonsense") == ("NotFoundException", "Invalid keyId 'nonsense'")
    assert refusal(kms.encrypt, KeyId="alias/none", Plaintext=b"s") == (
        "NotFoundException", f"Alias arn:aws:kms:us-east-1:{account}:alias/none is not found.",
    )  # fmt: skip
    elsewhere = key.replace("us-east-1", "eu-west-1")
    assert refusal(kms.describe_key, KeyId=elsewhere) == ("NotFoundException", "Invalid arn eu-west-1")
    foreign = key.replace(account, "999999999999")
    code, sentence = refusal(kms.encrypt, KeyId=foreign, Plaintext=b"s")
    assert code == "AccessDeniedException"
    assert f"is not authorized to perform: kms:Encrypt on resource: {foreign} because the resource" in sentence


def test_a_key_belongs_to_its_region(server: Running, kms: Any, key: str) -> None:
    there = server.client("kms", region_name="eu-west-1")
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    assert refusal(there.decrypt, CiphertextBlob=blob)[0] == "AccessDeniedException"
    assert refusal(there.describe_key, KeyId=key.rpartition("/")[2])[0] == "NotFoundException"
    assert key not in [each["KeyArn"] for each in there.list_keys()["Keys"]]


def test_rotation_is_told_and_asked_for(kms: Any, key: str) -> None:
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False
    kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 90)
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key)
    rotations = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert [(each["RotationType"], each["KeyMaterialState"]) for each in rotations] == [("ON_DEMAND", "CURRENT")]
    everything = kms.list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert [each["KeyMaterialState"] for each in everything] == ["NON_CURRENT", "CURRENT"]
    assert kms.decrypt(CiphertextBlob=blob)["KeyMaterialId"] == everything[0]["KeyMaterialId"]
    kms.disable_key_rotation(KeyId=key)
    assert "RotationPeriodInDays" not in kms.get_key_rotation_status(KeyId=key)


def test_tags_are_put_and_taken(kms: Any, key: str) -> None:
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "1"}, {"TagKey": "b", "TagValue": "2"}])
    kms.untag_resource(KeyId=key, TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "b", "TagValue": "2"}]
    many = [{"TagKey": str(number), "TagValue": ""} for number in range(50)]
    assert refusal(kms.tag_resource, KeyId=key, Tags=many)[0] == "LimitExceededException"


def test_a_policy_is_read_and_put(kms: Any, key: str, account: str) -> None:
    given = json.loads(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"])
    assert given["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{account}:root"}
    assert kms.list_key_policies(KeyId=key)["PolicyNames"] == ["default"]
    assert refusal(kms.get_key_policy, KeyId=key, PolicyName="other") == ("NotFoundException", "No such policy exists")
    given["Id"] = "mine"
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(given))
    assert json.loads(kms.get_key_policy(KeyId=key)["Policy"]) == given


def key_policy(principal: Any, action: Any = "kms:*", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_that_nobody_could_change_again_is_refused(kms: Any, key: str, account: str) -> None:
    shut = key_policy({"AWS": f"arn:aws:iam::{account}:role/service-role/OutcropServiceRole"})
    sentence = "The new key policy will not allow you to update the key policy in the future."
    assert refusal(kms.put_key_policy, KeyId=key, Policy=shut) == ("MalformedPolicyDocumentException", sentence)
    assert refusal(kms.create_key, Policy=shut) == ("MalformedPolicyDocumentException", sentence)
    kms.put_key_policy(KeyId=key, Policy=shut, BypassPolicyLockoutSafetyCheck=True)
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"s")[0] == "AccessDeniedException"
    # The administrator of the installation can mend it all the same.
    kms.put_key_policy(KeyId=key, Policy=key_policy({"AWS": f"arn:aws:iam::{account}:root"}))
    assert kms.encrypt(KeyId=key, Plaintext=b"s")


@pytest.mark.parametrize(
    "principal", [{"AWS": "jane"}, {"AWS": "arn:aws:iam::{account}:user/nobody-here"}, {"AWS": "arn:aws:iam::1:root"}]
)
def test_a_policy_names_principals_that_exist(kms: Any, key: str, account: str, principal: Any) -> None:
    named = {"AWS": principal["AWS"].replace("{account}", account)}
    sentence = "Policy contains a statement with one or more invalid principals."
    assert refusal(kms.put_key_policy, KeyId=key, Policy=key_policy(named)) == (
        "MalformedPolicyDocumentException", sentence,
    )  # fmt: skip


def test_another_user_uses_a_key_when_it_or_iam_lets_in(
    server: Running, kms: Any, key: str, account: str, jane: tuple[Any, str]
) -> None:
    mine, name = jane
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    code, sentence = refusal(mine.decrypt, CiphertextBlob=blob)
    assert (code, f"kms:Decrypt on resource: {key} because no identity-based policy" in sentence) == (
        "AccessDeniedException", True,
    )  # fmt: skip
    server.client("iam").put_user_policy(
        UserName=name, PolicyName="p", PolicyDocument=policy("Allow", "kms:Decrypt", key)
    )
    assert mine.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"
    root = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}
    deny = {**root, "Effect": "Deny", "Principal": {"AWS": f"arn:aws:iam::{account}:user/{name}"}}
    kms.put_key_policy(KeyId=key, Policy=json.dumps({"Version": "2012-10-17", "Statement": [root, deny]}))
    assert "with an explicit deny in a resource-based policy" in refusal(mine.decrypt, CiphertextBlob=blob)[1]


def test_a_grant_lets_in_until_it_is_revoked_or_retired(
    kms: Any, key: str, account: str, jane: tuple[Any, str]
) -> None:
    mine, name = jane
    user = f"arn:aws:iam::{account}:user/{name}"
    asked = {
        "KeyId": key, "GranteePrincipal": user, "RetiringPrincipal": user, "Operations": ["Encrypt", "Decrypt"],
        "Constraints": {"EncryptionContextSubset": {"tenant": "jane"}}, "Name": "of-jane",
    }  # fmt: skip
    made = kms.create_grant(**asked)
    assert kms.create_grant(**asked)["GrantId"] == made["GrantId"], "the same request with a name is the same grant"
    sent = mine.encrypt(
        KeyId=key, Plaintext=b"s", EncryptionContext={"tenant": "jane"}, GrantTokens=[made["GrantToken"]]
    )
    assert (
        mine.decrypt(CiphertextBlob=sent["CiphertextBlob"], EncryptionContext={"tenant": "jane"})["Plaintext"] == b"s"
    )
    assert refusal(mine.encrypt, KeyId=key, Plaintext=b"s")[0] == "AccessDeniedException"
    told = kms.list_grants(KeyId=key, GrantId=made["GrantId"])["Grants"][0]
    assert (told["GranteePrincipal"], told["Operations"], told["Name"]) == (user, ["Encrypt", "Decrypt"], "of-jane")
    assert told["Constraints"] == {"EncryptionContextSubset": {"tenant": "jane"}}
    assert [each["GrantId"] for each in kms.list_retirable_grants(RetiringPrincipal=user)["Grants"]] == [
        made["GrantId"]
    ]
    mine.retire_grant(GrantToken=made["GrantToken"])
    assert kms.list_grants(KeyId=key)["Grants"] == []
    again = kms.create_grant(KeyId=key, GranteePrincipal=user, Operations=["Encrypt"])
    assert mine.encrypt(KeyId=key, Plaintext=b"s")
    kms.revoke_grant(KeyId=key, GrantId=again["GrantId"])
    assert refusal(mine.encrypt, KeyId=key, Plaintext=b"s")[0] == "AccessDeniedException"
    assert refusal(kms.revoke_grant, KeyId=key, GrantId=again["GrantId"])[0] == "NotFoundException"


def test_a_token_that_was_not_given_is_refused(kms: Any, key: str) -> None:
    for token in ("never-given", "A" * 86):
        asked = {"KeyId": key, "Plaintext": b"s", "GrantTokens": [token]}
        assert refusal(kms.encrypt, **asked)[0] == "InvalidGrantTokenException"
        assert refusal(kms.retire_grant, GrantToken=token)[0] == "InvalidGrantTokenException"
    assert refusal(kms.retire_grant)[0] == "ValidationException"


def test_a_dry_run_tells_whether_it_would_succeed(kms: Any, key: str, jane: tuple[Any, str]) -> None:
    told = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"s", DryRun=True) == told
    assert refusal(kms.generate_data_key, KeyId=key, KeySpec="AES_256", DryRun=True) == told
    assert refusal(jane[0].encrypt, KeyId=key, Plaintext=b"s", DryRun=True)[0] == "AccessDeniedException"
    kms.disable_key(KeyId=key)
    assert refusal(kms.encrypt, KeyId=key, Plaintext=b"s", DryRun=True)[0] == "DisabledException"


def test_no_plaintext_is_in_the_audit(server: Running, kms: Any, key: str) -> None:
    blob = kms.encrypt(KeyId=key, Plaintext=b"plaintext-of-the-audit")["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=blob)
    server.write()
    files = [path for path in server.settings.home.rglob("*") if path.is_file()]
    assert [path for path in files if b"plaintext-of-the-audit" in path.read_bytes()] == []
