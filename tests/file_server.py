"""A server of files in the test's own process."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Server(http.server.ThreadingHTTPServer):
    """Serves a folder, and keeps a list of the requests."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.short = 0
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=str(folder)))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.asked.append(self.path)
        if not self.server.short:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(2 * self.server.short))
        self.end_headers()
        self.wfile.write(bytes(self.server.short))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Serve a folder at a port that was free."""
    server = Server(folder)
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    ).start()
    yield server
    server.shutdown()
    server.server_close()
