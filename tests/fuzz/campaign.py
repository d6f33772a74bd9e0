"""Mutated requests of every service against a running server: nothing breaks, nothing hangs, nothing unproven writes.

As a script, against a server process of its own: `python -m tests.fuzz.campaign 50000 [SEED]`.
"""

import hashlib
import json
import random
import socket
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ParamValidationError

from outcrop.protocol import service_model
from tests.fuzz.mutations import Sent, mutated
from tests.fuzz.seeds import BUCKET, KEY, Furniture, furnish, nudged, right
from tests.support.random_values import Maker
from tests.support.shaped_values import operation_of_botocore, protocol_of, request_from_botocore

SEEDED = 0.7
"""Of the proven requests, the share that begins with a right one about something that is there."""
WRONG = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
SLOW_S = 2.0
ENDS_S = 30.0


@dataclass
class Report:
    statuses: Counter[str] = field(default_factory=Counter)
    troubles: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    "The operations that succeeded at least once."
    slowest_s: float = 0.0

    @property
    def share_answered(self) -> float:
        """Of the requests, those that succeeded: they went all the way through."""
        return sum(num for status, num in self.statuses.items() if status < "4") / max(1, self.statuses.total())


@dataclass(frozen=True, kw_only=True)
class Campaign:
    endpoint: str
    credentials: Credentials
    slow_s: float = SLOW_S

    def proven(self, count: int, seed: int, there: Furniture) -> Report:
        """Requests whose signature is right, whatever else is wrong with them."""
        report = Report()
        for number in range(count):
            numbers = random.Random(f"{seed} proven {number}")
            if numbers.random() < SEEDED:
                service, name, sent = seeded(there, numbers)
            else:
                service, name, sent = drawn(numbers)
                sent = mutated(sent, numbers)
            sent = self._signed(sent, service, self.credentials)
            self._judge(report, f"{seed}/proven/{number} {service} {name}", sent, unproven=False)
        return report

    def unproven(self, count: int, seed: int) -> Report:
        """Requests that nobody signed, or another key, or that were changed after they had been signed."""
        report = Report()
        for number in range(count):
            numbers = random.Random(f"{seed} unproven {number}")
            service, name, sent = drawn(numbers)
            wrong = Credentials(self.credentials.access_key, WRONG.secret_key)
            match numbers.randrange(4):
                case 0:
                    sent = mutated(sent, numbers) if numbers.random() < 0.5 else sent
                case 1:
                    sent = self._signed(mutated(sent, numbers), service, numbers.choice([WRONG, wrong]))
                case 2:
                    sent = mutated(self._signed(sent, service, wrong), numbers)
                case 3:
                    sent = _changed(self._signed(sent, service, self.credentials), numbers)
            self._judge(report, f"{seed}/unproven/{number} {service} {name}", sent, unproven=True)
        return report

    def _signed(self, sent: Sent, service: str, credentials: Credentials) -> Sent:
        url = f"{self.endpoint}{sent.path}{'?' + sent.query if sent.query else ''}"
        request = AWSRequest(method=sent.method, url=url, headers=sent.headers, data=sent.body)
        kind = S3SigV4Auth if service == "s3" else SigV4Auth
        try:
            kind(credentials, service_model.signing_name(service), "us-east-1").add_auth(request)
        except (ValueError, UnicodeError, AttributeError):
            return sent  # botocore itself cannot sign it; then it goes out unsigned
        return replace(sent, headers={name: str(value) for name, value in request.headers.items()})

    def _judge(self, report: Report, name: str, sent: Sent, *, unproven: bool) -> None:
        sent = replace(sent, headers={"Host": urlsplit(self.endpoint).netloc, **sent.headers})
        status, took = self._ask(sent)
        if took > self.slow_s:
            # The machine may have been busy with something else; what really hangs does so twice.
            status, again = self._ask(sent)
            took = min(took, again)
        report.slowest_s = max(report.slowest_s, took)
        report.statuses[str(status)] += 1
        report.answered |= {name.rpartition(" ")[2]} if status is not None and status < 400 else set()
        if took > self.slow_s:
            report.troubles.append(f"{name}: {took:.1f} s: {sent!r:.600}")
        if status is None and not sent.cut:
            report.troubles.append(f"{name}: no answer: {sent!r:.600}")
        if status is not None and status >= 500 and status != 501:
            report.troubles.append(f"{name}: {status}: {sent!r:.600}")
        if unproven and status is not None and status < 400 and sent.path != "/health":
            report.troubles.append(f"{name}: {status} without a proof: {sent!r:.600}")

    def _ask(self, sent: Sent) -> tuple[int | None, float]:
        """Status (None: the connection ended without an answer) and seconds."""
        url, started = urlsplit(self.endpoint), time.monotonic()
        answer = b""
        with socket.create_connection((url.hostname, url.port), timeout=ENDS_S) as connection:
            try:
                connection.sendall(sent.bytes())
                if sent.cut:
                    connection.shutdown(socket.SHUT_WR)
                while piece := connection.recv(65536):
                    answer = answer or piece
            except TimeoutError:
                return None, ENDS_S
            except ConnectionError:
                pass  # the answer may have come before it
        head = answer.split(b" ", 2)
        return (int(head[1]) if len(head) > 2 else None), time.monotonic() - started


def seeded(there: Furniture, numbers: random.Random) -> tuple[str, str, Sent]:
    """A right request about something that is there; mostly with one value changed a little, or bent on its way."""
    while True:
        service, name, params = right(there, numbers)
        if numbers.random() < 0.5:
            params = nudged(params, numbers)
        try:
            sent = _sent(service, name, params, None, numbers)
        except (ParamValidationError, AttributeError, LookupError, TypeError, ValueError):
            continue  # botocore cannot write such a value
        return service, name, mutated(sent, numbers, most=1) if numbers.random() < 0.2 else sent


def drawn(numbers: random.Random) -> tuple[str, str, Sent]:
    """A request as botocore would make it, of any operation; half of S3's are for a bucket that exists."""
    while True:
        built = ("s3", "bedrock", "bedrock-runtime", "iam", "sts")
        service = numbers.choice(built if numbers.random() < 0.6 else service_model.SERVICES)
        name = numbers.choice(service_model.load(service).operation_names)
        operation = operation_of_botocore(service, name)
        if operation.has_event_stream_input or name == "WriteGetObjectResponse":
            continue
        protocol = service_model.CBOR if service == "cloudwatch" and numbers.random() < 0.5 else None
        params = Maker(numbers, loose=numbers.random() < 0.3).operation_input(service_model.operation(service, name))
        if service == "s3" and numbers.random() < 0.7:
            params |= {field: value for field, value in (("Bucket", BUCKET), ("Key", KEY)) if field in params}
        try:
            return service, name, _sent(service, name, params, protocol, numbers)
        except ParamValidationError:
            continue


def _sent(service: str, name: str, params: dict[str, Any], protocol: str | None, numbers: random.Random) -> Sent:
    made = request_from_botocore(operation_of_botocore(service, name), params, protocol)
    assert protocol_of(service, protocol)
    kept = {key: value for key, value in made.headers.items() if key not in ("authorization", "content-length")}
    body = made.body or (numbers.randbytes(20) if made.method == "PUT" and service == "s3" else b"")
    return Sent(method=made.method, path=made.raw_path, query=made.raw_query, headers=kept, body=body)


def _changed(sent: Sent, numbers: random.Random) -> Sent:
    """Something that the signature covers, changed so that it means something else."""
    match numbers.randrange(3):
        case 0:
            return replace(sent, method=next(each for each in ("DELETE", "PUT") if each != sent.method))
        case 1:
            return replace(sent, query=f"{sent.query}&extra=1" if sent.query else "extra=1")
        case _:
            return replace(sent, path=sent.path.rstrip("/") + "/other")


def digest(home: Path) -> str:
    """The digest of everything on record and every object of an installation."""
    whole = hashlib.sha256()
    with sqlite3.connect(f"file:{home}/outcrop.db?mode=ro", uri=True) as database:
        for (table,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall():
            rows = sorted(repr(row) for row in database.execute(f'SELECT * FROM "{table}"'))
            whole.update(repr((table, rows)).encode())
    for path in sorted((home / "objects").rglob("*")):
        whole.update(f"{path.relative_to(home)} {path.stat().st_size if path.is_file() else ''}".encode())
    return whole.hexdigest()


def main() -> None:
    from tests.support.servers import server_process

    count, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder, server_process(Path(folder)) as running:
        there = furnish(running.client)
        before = digest(Path(folder))
        campaign = Campaign(endpoint=running.endpoint, credentials=running.credentials)
        started = time.monotonic()
        unproven = campaign.unproven(count // 2, seed)
        unchanged = digest(Path(folder)) == before
        proven = campaign.proven(count - count // 2, seed, there)
        figures = {
            "requests": count,
            "seed": seed,
            "seconds": round(time.monotonic() - started),
            "unproven": dict(sorted(unproven.statuses.items())),
            "proven": dict(sorted(proven.statuses.items())),
            "proven_that_succeeded": round(proven.share_answered, 3),
            "operations_that_succeeded": len(proven.answered),
            "slowest_s": round(max(unproven.slowest_s, proven.slowest_s), 2),
            "records_unchanged_by_unproven": unchanged,
            "server_lives": running.process.poll() is None,
        }
    troubles = unproven.troubles + proven.troubles
    print("\n".join(troubles))
    print(json.dumps({**figures, "troubles": len(troubles)}, indent=1))
    sys.exit(bool(troubles) or not unchanged or not figures["server_lives"])


if __name__ == "__main__":
    main()
