"""As much of the Hub as a download needs: a repository's list of files, and the files."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "c" * 40


@dataclass
class Sent:
    """What a Hub was asked for, and how often it sent each file."""

    endpoint: str = ""
    asked: Counter[str] = field(default_factory=Counter)  # for a file's size and digest
    sent: Counter[str] = field(default_factory=Counter)
    meet: int = 1  # clients that have to ask for a file before it is sent
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait_for_others(self, name: str) -> None:
        with self.changed:
            met = self.changed.wait_for(lambda: self.asked[name] >= self.meet, timeout=120)
        assert met, f"{name} was asked for by {self.asked[name]} of {self.meet}"


@contextlib.contextmanager
def small_hub(files: dict[str, bytes], kind: str = "models") -> Iterator[Sent]:
    """Serve the repository `me/small` at `COMMIT`, on a port of this machine."""
    seen = Sent()
    listed = f"/api/{kind}/me/small/tree/{COMMIT}"
    place = ("" if kind == "models" else f"/{kind}") + f"/me/small/resolve/{COMMIT}/"

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.partition("?")[0] == listed:
                tree = [
                    {"type": "file", "path": name, "size": len(content), "oid": COMMIT}
                    for name, content in files.items()
                ]
                return self.answer(json.dumps(tree).encode())
            name = self.path.removeprefix(place)
            if name not in files:
                return self.answer(b"", 404)
            seen.wait_for_others(name)
            seen.sent[name] += 1
            return self.answer(files[name])

        def do_HEAD(self) -> None:
            name = self.path.removeprefix(place)
            if name not in files:
                return self.answer(b"", 404)
            with seen.changed:
                seen.asked[name] += 1
                seen.changed.notify_all()
            return self.answer(files[name])

        def answer(self, content: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    seen.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a model's folder, as a repository has them."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
