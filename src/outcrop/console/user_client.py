"""The public API for one user: clients of botocore with the access key of that user, and no more.

Nothing that the environment says of AWS counts: no profile, no proxy, no configuration file.
"""

import json
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

KEY_ENDED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"Codes with which the API says that a key is none, or none any more."
DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_OWN_TIMEOUT_S = 330
_READ_TIMEOUT_S = 120


class Listed(NamedTuple):
    """The items of one listing, or the sentence with which it was refused."""

    items: list[Any]
    refused: str = ""
    more: str = ""
    "The token of the next page."

    @property
    def told_count(self) -> str:
        """The number of items, with a plus where there are more; a dash for who may not know."""
        return "–" if self.refused else f"{len(self.items):,}{'+' if self.more else ''}"


class UserClient:
    """All services for one user. Threads share it."""

    def __init__(
        self,
        endpoint: str,
        *,
        region: str,
        key_id: str,
        secret: str,
        token: str | None = None,
        trusted: str | None = None,
    ) -> None:
        """`trusted`: a file of certificates, for an endpoint with TLS."""
        self.endpoint, self.region, self.key_id = endpoint, region, key_id
        self._credentials = Credentials(key_id, secret, token)
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._trusted = trusted
        self._http = URLLib3Session(verify=trusted or True, timeout=_OWN_TIMEOUT_S, proxies={})
        self._kept: dict[str, tuple[float, Any]] = {}

    def client(self, service: str) -> Any:
        """The service's client, made when it is first asked for."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._made(service)
            return self._clients[service]

    def close(self) -> None:
        """Close every connection; whoever still waits for an answer gets it."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()
        self._http.close()

    def listed(self, service: str, operation: str, member: str, **params: Any) -> Listed:
        """A page of a listing; who may not list hears why instead."""
        try:
            answer = getattr(self.client(service), operation)(**params)
        except ClientError as refusal:
            if refusal.response["Error"]["Code"] not in DENIED:
                raise
            return Listed([], refused=refusal.response["Error"]["Message"])
        more = answer.get("nextToken") or answer.get("NextToken") or answer.get("NextContinuationToken") or ""
        return Listed(answer.get(member, []), more=more)

    def own_lately(self, path: str, *, within_s: float) -> Any:
        """The JSON of a GET under `/outcrop/` that looks at much: an answer so young is given again."""
        at, told = self._kept.get(path, (float("-inf"), None))
        if time.monotonic() - at > within_s:
            told = self.own(path, {})
            self._kept[path] = (time.monotonic(), told)
        return told

    def own(self, path: str, query: Mapping[str, str | list[str]], *, method: str = "GET") -> Any:
        """The JSON of a request under `/outcrop/`. Raises ClientError, as the services' operations do."""
        request = AWSRequest(method=method, url=f"{self.endpoint}{path}?{urlencode(query, doseq=True)}")
        SigV4Auth(self._credentials, "outcrop", self.region).add_auth(request)
        answer = self._http.send(request.prepare())
        try:
            told = json.loads(answer.content)
        except ValueError:
            told = {"message": answer.content.decode("utf-8", "replace")[:500]}
        if answer.status_code >= 400:
            code = answer.headers.get("x-amzn-errortype", told.get("__type", "Refused")).split(":")[0]
            error = {"Code": code, "Message": told.get("message", "")}
            told = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": answer.status_code}}
            raise ClientError(told, path)
        return told

    def _made(self, service: str) -> Any:
        with _making:
            return _session().create_client(
                service,
                region_name=self.region,
                endpoint_url=self.endpoint,
                verify=self._trusted,
                aws_access_key_id=self._credentials.access_key,
                aws_secret_access_key=self._credentials.secret_key,
                aws_session_token=self._credentials.token,
                config=Config(
                    proxies={},
                    retries={"mode": "standard", "total_max_attempts": 2},
                    defaults_mode="legacy",
                    s3={"addressing_style": "path"},
                    read_timeout=_READ_TIMEOUT_S,
                ),
            )


_making = threading.Lock()
"A session of botocore makes one client at a time."


@cache
def _session() -> botocore.session.Session:
    """The session of every user: it holds the service models, and nobody's key."""
    nowhere = (None, None, os.devnull, None)
    return botocore.session.Session(
        session_vars={"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere}
    )
