"""Amazon's S3 Encryption Client for Python: data keys of KMS, encrypted here before anything is sent."""

import json

import boto3
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring

BUCKET = "client-side"
CONTENT = bytes(range(256)) * 5000
kms, s3 = boto3.client("kms"), boto3.client("s3")
key = kms.create_key()["KeyMetadata"]["Arn"]
s3.create_bucket(Bucket=BUCKET)
client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=KmsKeyring(kms, key)))
context = {"tenant": "jane"}
client.put_object(Bucket=BUCKET, Key="a", Body=CONTENT, EncryptionContext=context)
client.put_object(Bucket=BUCKET, Key="sealed", Body=CONTENT, EncryptionContext=context, ServerSideEncryption="aws:kms")
stored = boto3.client("s3").get_object(Bucket=BUCKET, Key="a")["Body"].read()


def read(name: str, **asked: object) -> bytes:
    content: bytes = client.get_object(Bucket=BUCKET, Key=name, **asked)["Body"].read()
    return content


def refused(**asked: object) -> str:
    try:
        read("a", **asked)
    except Exception as error:  # of the client's own kind, around that of botocore
        return type(error).__name__
    return ""


told = {
    "read": read("a", EncryptionContext=context) == CONTENT,
    "sealed": read("sealed", EncryptionContext=context) == CONTENT,
    "stored in clear": CONTENT[:64] in stored,
    "another context": refused(EncryptionContext={"tenant": "joe"}),
}
kms.disable_key(KeyId=key)
told["disabled"] = refused(EncryptionContext=context)
print(json.dumps(told))
