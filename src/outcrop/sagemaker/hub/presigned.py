"""Presigned URLs of objects of this installation, good for an hour, with the rights of whoever asked for them."""

from urllib.parse import quote

from outcrop.access.caller import Credential

LIFETIME_S = 3600


def presigned_url(credential: Credential, *, endpoint: str, region: str, bucket: str, key: str) -> str:
    """A URL by which the object can be read without any other signature."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest(method="GET", url=f"{endpoint}/{bucket}/{quote(key)}")
    known = Credentials(credential.caller.key_id, credential.secret, credential.session_token)
    S3SigV4QueryAuth(known, "s3", region, expires=LIFETIME_S).add_auth(request)
    return str(request.url)
