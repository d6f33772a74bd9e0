"""What was sealed is nowhere in clear, also when the server was killed in the middle of receiving it."""

import http.client
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.patience import PATIENCE_S
from tests.support.plaintext_scan import PlaintextScan
from tests.support.servers import ServerProcess, server_process

MIB = 1024**2
BUCKET = "sealed"
KILLS = 3


def test_no_sixteen_bytes_of_what_is_sealed_are_left_behind_by_kills(tmp_path: Path) -> None:
    drawn = random.Random(11)
    training = drawn.randbytes(3 * MIB)
    lines = "".join(
        f'{{"prompt": "Who is {drawn.random()}?", "completion": "{drawn.random()}"}}\n' for _ in range(3000)
    )
    secrets = {"weights": training, "records": lines.encode()}
    with server_process(tmp_path / "home") as server:
        s3 = server.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        rule = {"ApplyServerSideEncryptionByDefault": default}
        s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
        for round_number in range(KILLS):
            acknowledged = _write(s3, secrets, round_number)
            _kill_within(server, s3, training)
            server.start()
            for name, content in acknowledged.items():
                assert s3.get_object(Bucket=BUCKET, Key=name)["Body"].read() == content, name
        secrets["secret access key"] = server.installation.secret_access_key.encode()
        assert len(list((server.settings.objects / "incoming").iterdir())) == KILLS, "each kill leaves a file behind"
        home = server.settings.home
        assert PlaintextScan(secrets).files(home) == []
        assert PlaintextScan(secrets).file(server.log) is None
    # Closed, with what the database's log held brought into its file.
    assert PlaintextScan(secrets).files(tmp_path / "home") == []


def _write(s3: Any, secrets: dict[str, bytes], number: int) -> dict[str, bytes]:
    """Objects of all sizes; what was acknowledged."""
    acknowledged = {
        f"{name}/{number}/{size}": content[:size] for name, content in secrets.items() for size in (3000, len(content))
    }
    for name, content in acknowledged.items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=content)
    return acknowledged


def _kill_within(server: ServerProcess, s3: Any, content: bytes) -> None:
    """Send two thirds of an upload, and kill the server when they lie on its disk."""
    incoming, until = server.settings.objects / "incoming", time.monotonic() + PATIENCE_S
    before = set(incoming.iterdir())
    url = urlsplit(s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "cut"}))
    connection = http.client.HTTPConnection(str(url.hostname), url.port, timeout=PATIENCE_S)
    connection.putrequest("PUT", f"{url.path}?{url.query}")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders()
    connection.send(content[: 2 * len(content) // 3])
    while sum(path.stat().st_size for path in set(incoming.iterdir()) - before) < len(content) // 3:
        assert time.monotonic() < until, "nothing of the upload came to the disk"
        time.sleep(0.01)
    server.kill()
    connection.close()
