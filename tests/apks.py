"""What tests install: fake APKs, and an HTTP server on loopback that gives them out, knows ranges, and can hang up in the middle."""

from __future__ import annotations

import hashlib
import json
import random
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO


def apk(package: str = "com.example.game", code: int = 14, version: str = "1.4", padding: int = 0) -> bytes:
    """A zip that the simulated guest installs. ``padding``: bytes that do not shrink."""
    target = BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        about = json.dumps({"package": package, "version_code": code, "version_name": version})
        archive.writestr(zipfile.ZipInfo("ldfleet-sim.json"), about)
        archive.writestr(zipfile.ZipInfo("padding"), random.Random(code).randbytes(padding))
    return target.getvalue()


def sha256(data: bytes) -> str:
    """Lower case, as options take it."""
    return hashlib.sha256(data).hexdigest()


@dataclass
class Shelf:
    """What the server has: files by path. ``cuts``: after how many bytes it hangs up in the next answers; ``asked``: path and range of each request."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def put(self, name: str, data: bytes) -> str:
        """Put a file on it and return its address."""
        self.files[f"/{name}"] = data
        return f"{self.address}/{name}"


@contextmanager
def shelf() -> Iterator[Shelf]:
    """A server on 127.0.0.1 for as long as the context lasts."""
    found = Shelf("")

    class Handler(BaseHTTPRequestHandler):
        timeout = 20

        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            found.asked.append((self.path, wanted))
            data = found.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            start = int(match[1]) if (match := re.fullmatch(r"bytes=(\d+)-", wanted)) else 0
            if start and start >= len(data):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            cut = found.cuts.pop(0) if found.cuts else len(data)
            self.wfile.write(data[start : start + cut])
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Tests look at ``asked``."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found.address = f"http://127.0.0.1:{server.server_address[1]}"
        worker = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        worker.start()
        try:
            yield found
        finally:
            server.shutdown()
            worker.join(5)
