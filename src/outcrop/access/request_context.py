"""The condition keys that every request has, whatever it asks for: where it came from and how.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from outcrop.access.caller import AuthorizableRequest
from outcrop.access.names import is_temporary_key


def circumstances(call: AuthorizableRequest) -> dict[str, str | tuple[str, ...]]:
    """Keys without a value here are left out, so that conditions over them see them as absent."""
    known: dict[str, str | tuple[str, ...]] = {
        "aws:RequestedRegion": call.region,
        "aws:SecureTransport": "true" if call.secure else "false",
        "aws:ViaAWSService": "false",
        "aws:PrincipalIsAWSService": "false",
        **call.known,
    }
    if call.service == "s3" and "x-amz-content-sha256" in call.headers:
        known["s3:x-amz-content-sha256"] = call.headers["x-amz-content-sha256"]
    if call.source_ip:
        known["aws:SourceIp"] = call.source_ip
    for header, key in (("user-agent", "aws:UserAgent"), ("referer", "aws:Referer")):
        if header in call.headers:
            known[key] = call.headers[header]
    if call.caller.key_id and is_temporary_key(call.caller.key_id):
        # Present with temporary credentials only. Nobody has shown a second factor here.
        known["aws:MultiFactorAuthPresent"] = "false"
    return known


def of_service(service: str) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of a service that takes on a role in its own name.

    There is no caller and no network between.
    """
    return {
        "aws:PrincipalIsAWSService": "true",
        "aws:PrincipalServiceName": service,
        "aws:PrincipalServiceNamesList": (service,),
        "aws:SecureTransport": "true",
        "aws:ViaAWSService": "false",
    }
