"""A model hub on this machine: the HTTP that huggingface_hub asks of one, for repositories that are given as files."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Repository = Mapping[str, bytes]
SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass(kw_only=True)
class HubDouble:
    """A hub with some repositories, and what was asked of it."""

    repositories: dict[str, Repository]
    gated: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    @property
    def fetched(self) -> list[str]:
        """The files whose bytes were sent."""
        return [each.rpartition("/")[2] for each in self.asked if each.startswith("GET") and "/resolve/" in each]


class _Handler(BaseHTTPRequestHandler):
    hub: HubDouble

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_GET(self) -> None:
        self._answer("GET")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing is logged."""

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{method} {path}")
        parts = path.strip("/").split("/")
        owner_name = "/".join(parts[2:4] if parts[0] == "api" else parts[0:2])
        repository = self.hub.repositories.get(owner_name)
        if repository is None:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
        elif owner_name in self.hub.gated:
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo", "X-Error-Message": "Accept the licence first."})
        elif parts[0] == "api" and parts[4:5] == ["tree"]:
            self._send(200, json.dumps([_entry(name, data) for name, data in repository.items()]).encode())
        elif parts[0] == "api":
            siblings = [{"rfilename": name, "size": len(data)} for name, data in repository.items()]
            self._send(200, json.dumps({"id": owner_name, "sha": SHA, "siblings": siblings}).encode())
        else:
            self._file(repository, "/".join(parts[4:]))

    def _file(self, repository: Repository, name: str) -> None:
        data = repository.get(name)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        self._send(200, data, {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": SHA})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json" if body[:1] in (b"{", b"[") else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": _oid(data)}


def _oid(data: bytes) -> str:
    """git's name of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def hub(repositories: dict[str, Repository], *, gated: set[str] | None = None) -> Iterator[HubDouble]:
    """A hub that listens on a free port."""
    double = HubDouble(repositories=repositories, gated=gated or set())
    handler = type("Handler", (_Handler,), {"hub": double})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    double.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
