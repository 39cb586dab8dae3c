"""Trouble on the wire: a proxy between the importer and a service that can answer, cut, hang or kill."""

import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

#: Of an answer's headers, those that are the connection's own.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}

#: RST instead of FIN when a socket is closed: https://man7.org/linux/man-pages/man7/socket.7.html
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    """One request as it came: to which service, its method, its path with the query, and its body."""

    service: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path.partition('&sig=')[0]}"


@dataclass(frozen=True)
class Answer:
    """What is sent back; `length` is what its header says, where that is not the truth."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


class Exchange:
    """One request at the proxy: pass it on, answer it, or break the connection."""

    def __init__(self, request: Request, handler: "_Handler") -> None:
        self.request = request
        self._handler = handler

    def forward(self) -> Answer:
        """Have the service answer."""
        return self._handler.forward(self.request)

    def send(self, answer: Answer) -> None:
        """Send an answer."""
        self._handler.send(answer)

    def reset(self) -> None:
        """Close the connection as a crashed peer does."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._handler.hang_up()

    def hang_up(self) -> None:
        """Close the connection in an orderly way."""
        self._handler.hang_up()

    def hang(self) -> None:
        """Say nothing until the client gives up."""
        self._handler.connection.settimeout(None)
        while self._handler.connection.recv(1):
            pass
        self._handler.hang_up()


#: What is done with a request; `pass_on` where there is no trouble.
Action = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """Send what the service answers."""
    exchange.send(exchange.forward())


class FaultProxy:
    """Proxies for some local services, by name; `act` is called with each request, from any thread."""

    def __init__(self, ports: Mapping[str, int], tls: Mapping[str, tuple[Path, Path] | None]) -> None:
        self.act: Action = pass_on
        self._servers = {name: _Server(self, name, port, tls[name]) for name, port in ports.items()}

    @property
    def ports(self) -> dict[int, int]:
        """The proxy's port for each port of a service."""
        return {server.upstream: int(server.server_address[1]) for server in self._servers.values()}

    def start(self) -> None:
        """Serve, each service in a thread of its own."""
        for server in self._servers.values():
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop serving."""
        for server in self._servers.values():
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, proxy: FaultProxy, name: str, upstream: int, tls: tuple[Path, Path] | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.proxy, self.name, self.upstream = proxy, name, upstream
        self.context: ssl.SSLContext | None = None
        if tls is not None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the clients here are killed, and end connections as they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        if self.server.context is not None:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self._upstream = _open(self.server)
        super().setup()

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def handle_any(self) -> None:
        request = Request(
            self.server.name, self.command, self.path, dict(self.headers.items()), self._read_body()
        )
        self.server.proxy.act(Exchange(request, self))

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = handle_any  # noqa: N815

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def forward(self, request: Request) -> Answer:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        if request.body or request.method in ("PUT", "POST", "PATCH"):
            headers["Content-Length"] = str(len(request.body))
        try:
            self._upstream.request(request.method, request.path, request.body or None, headers)
            answer = self._upstream.getresponse()
        except (http.client.HTTPException, OSError):
            # it was kept open for longer than the service does
            self._upstream.close()
            self._upstream.request(request.method, request.path, request.body or None, headers)
            answer = self._upstream.getresponse()
        length = answer.getheader("Content-Length") if request.method == "HEAD" else None
        found = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
        return Answer(answer.status, found, answer.read(), int(length) if length else None)

    def send(self, answer: Answer) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.length is None else answer.length
        if answer.status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def hang_up(self) -> None:
        self.close_connection = True
        # not TLS's goodbye, which would wait for the client's
        socket.socket.close(self.connection)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _open(server: _Server) -> http.client.HTTPConnection:
    if server.context is None:
        return http.client.HTTPConnection("127.0.0.1", server.upstream, timeout=60)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection("127.0.0.1", server.upstream, timeout=60, context=context)


@contextmanager
def redirected(ports: Mapping[int, int]) -> Iterator[None]:
    """Have this process connect to other ports than it asks for, so that no address names the proxy."""
    connect = socket.socket.connect

    def connect_elsewhere(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[1] in ports:
            address = (address[0], ports[address[1]], *address[2:])
        connect(self, address)

    socket.socket.connect = connect_elsewhere  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        socket.socket.connect = connect  # type: ignore[method-assign]
