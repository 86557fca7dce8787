"""A small service of somebody else's, which a proxy guards: it tells what reached it."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness.program import PATIENCE


@dataclass(frozen=True)
class Seen:
    """A request as it reached the service."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value under a name, as a service reads names that maps them to variables: `Remote_User` too."""

        def variable(text: str) -> str:
            return "".join(c if c.isalnum() else "_" for c in text).upper()

        return [value for found, value in self.headers if variable(found) == variable(name)]


class Service:
    """Runs in a thread. `/download` sends a piece each time it is told to, `/socket` gives back what it gets."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        #: Released once for each further piece of a download.
        self.next_piece = threading.Semaphore(0)
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                seen = Seen(self.command, self.path, self.headers.items(), self.rfile.read(length))
                service.seen.append(seen)
                if self.path == "/download":
                    self.download()
                elif self.path == "/socket":
                    self.socket()
                else:
                    self.tell(seen)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer

            def tell(self, seen: Seen) -> None:
                if "text/html" in (self.headers.get("Accept") or ""):
                    kind, text = "text/html; charset=utf-8", "<!doctype html><title>Wiki</title><h1>Wiki</h1>"
                else:
                    kind, text = "application/json", json.dumps(seen.headers)
                body = text.encode()
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def download(self) -> None:
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                # nginx would otherwise wait for more before it passes a piece on.
                self.send_header("X-Accel-Buffering", "no")
                self.end_headers()
                try:
                    while service.next_piece.acquire(timeout=PATIENCE):
                        self.wfile.write(b"5\r\npiece\r\n")
                        self.wfile.flush()
                except OSError:
                    pass

            def socket(self) -> None:
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.end_headers()
                self.close_connection = True
                try:
                    while data := self.connection.recv(1024):
                        self.connection.sendall(data)
                except OSError:
                    pass

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            address_family = socket.AF_INET

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
