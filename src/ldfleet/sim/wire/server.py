"""WinRM's HTTP listeners on loopback: connections, bodies, faults of the wire. One server serves all hosts of a simulator; messages are shells.py's."""

from __future__ import annotations

import functools
import selectors
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPMessage, parse_headers
from io import BufferedReader
from pathlib import Path

from ..machine import certificates
from ..machine.doors import Door
from ..machine.process import Machine
from . import soap
from .auth import Accounts, Authenticator, Policy, Undecryptable
from .faults import Wire, WireFault
from .quotas import Quotas
from .shells import Shells
from .soap import Fault, Refused, Request

LOOPBACK = "127.0.0.1"
_IDLE_SECONDS = 120.0
_LARGEST_HEADERS = 65_536


@dataclass
class Endpoint:
    """One host's listeners (SSH is ssh.py's). Ports: 0 takes a free one, None means no listener; the ports in use stand here once the server has started."""

    machine: Machine
    http_port: int | None = 0
    https_port: int | None = None
    ssh_port: int | None = None
    policy: Policy = field(default_factory=Policy)
    quotas: Quotas = field(default_factory=Quotas)
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        self.shells = Shells(self.machine, self.quotas)
        self.accounts = Accounts(self.machine.name, self.machine.users, self.machine.admits)


class PortTaken(RuntimeError):
    """A port that was asked for is in use, or not allowed; the text says which."""


class SimServer:
    """Listeners for any number of endpoints, all on 127.0.0.1; one thread waits for connections, each connection has one of its own.

    ``trusted``: the certificate (PEM) that clients may show.
    """

    def __init__(self, endpoints: list[Endpoint], folder: Path, trusted: Path | None = None) -> None:
        self.endpoints = endpoints
        self._folder = folder
        self._trusted = trusted
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._connections: dict[socket.socket, Endpoint] = {}
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._acceptor = threading.Thread(target=self._accept, name="ldfleet-sim", daemon=True)

    @property
    def certificate(self) -> Path:
        """The self-signed certificate of all HTTPS listeners, as PEM."""
        return certificates.listener(self._folder, LOOPBACK)[0]

    def __enter__(self) -> SimServer:
        self._folder.mkdir(parents=True, exist_ok=True)
        context = None
        if any(endpoint.https_port is not None for endpoint in self.endpoints):
            context = certificates.context(certificates.listener(self._folder, LOOPBACK), self._trusted)
        for endpoint in self.endpoints:
            endpoint.machine.watch(functools.partial(self._cut, endpoint))
            if endpoint.http_port is not None:
                endpoint.http_port = self._listen(endpoint, endpoint.http_port, None)
            if endpoint.https_port is not None:
                endpoint.https_port = self._listen(endpoint, endpoint.https_port, context)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._acceptor.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._wake.send(b"x")
        self._acceptor.join()
        for endpoint in self.endpoints:
            endpoint.shells.close()
            endpoint.accounts.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            _shut(connection)
        for thread in threads:
            thread.join(5)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _listen(self, endpoint: Endpoint, port: int, context: ssl.SSLContext | None) -> int:
        try:
            listener = socket.create_server((LOOPBACK, port), backlog=128)
        except OSError as error:
            raise PortTaken(f"port {port} cannot be had ({error.strerror}); name another with --port, or 0 for free ones") from error
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, (endpoint, context))
        return int(listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._close_listeners()
                    return
                try:
                    connection, address = key.fileobj.accept()  # type: ignore[union-attr]
                except OSError:
                    continue
                endpoint, context = key.data
                work = threading.Thread(target=self._serve, args=(endpoint, connection, context, address[0]), daemon=True)
                with self._lock:
                    self._connections[connection] = endpoint
                    self._threads.add(work)
                work.start()

    def _cut(self, endpoint: Endpoint) -> None:
        """The machine goes down: what its clients had open is gone."""
        with self._lock:
            mine = [connection for connection, owner in self._connections.items() if owner is endpoint]
        for connection in mine:
            _shut(connection)
        endpoint.shells.close()

    def _close_listeners(self) -> None:
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._selector.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]

    def _serve(self, endpoint: Endpoint, connection: socket.socket, context: ssl.SSLContext | None, client: str) -> None:
        raw = connection
        try:
            connection.settimeout(_IDLE_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            door: Door = "http" if context is None else "https"
            if not endpoint.machine.knock(door, client):
                # As near to a machine that is off as loopback comes: the connection is reset.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            endpoint.wire.count(connections=1)
            if endpoint.wire.fault("Connect") is not None:
                return
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            _Connection(endpoint, connection, client, door).run()
        except (OSError, ssl.SSLError, HTTPException, _Closed):
            return  # the client went away, or does not speak HTTP: nobody is there to be told
        finally:
            _shut(connection)
            with self._lock:
                self._connections.pop(raw, None)
                self._threads.discard(threading.current_thread())


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    finally:
        connection.close()


class _Closed(Exception):
    """This connection ends here."""


class _Connection:
    """One TCP connection: requests are answered in order, and authentication is the connection's."""

    def __init__(self, endpoint: Endpoint, link: socket.socket, client: str, door: Door) -> None:
        self._endpoint = endpoint
        self._link = link
        self._client = client
        self._door = door
        shown = link.getpeercert(binary_form=True) if isinstance(link, ssl.SSLSocket) else None
        self._who = Authenticator(endpoint.accounts, endpoint.policy, door == "https", certificates.account(shown))
        self._reader: BufferedReader = link.makefile("rb")

    def run(self) -> None:
        """Answer until the client closes."""
        while self._one():
            pass

    def _one(self) -> bool:
        line = self._reader.readline(_LARGEST_HEADERS).decode("latin-1").split()
        if len(line) != 3:
            return False
        headers = parse_headers(self._reader)
        body = self._body(headers)
        if body is None:
            return False
        self._endpoint.wire.count(requests=1, bytes_in=len(body))
        method, path, _version = line
        if path.partition("?")[0].rstrip("/") != "/wsman":
            return self._send(404)
        if method != "POST":
            return self._send(405)
        return self._post(headers, body)

    def _body(self, headers: HTTPMessage) -> bytes | None:
        text = headers.get("Content-Length")
        if text is None or not text.isdigit():
            self._send(411)
            return None
        if int(text) > self._endpoint.quotas.max_envelope_kb * 1024:
            self._send(413)  # what Windows says of more than MaxEnvelopeSizekb: no body, no SOAP
            return None
        return self._reader.read(int(text))

    def _post(self, headers: HTTPMessage, body: bytes) -> bool:
        encrypted = headers.get("Content-Type", "").startswith("multipart/encrypted")
        if headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated":
            return self._send(200, soap.identified(False))
        verdict = self._who.judge(headers.get("Authorization"), encrypted, bool(body))
        if verdict.user is None:
            if headers.get("Authorization") and verdict.headers == self._endpoint.policy.offers():
                self._endpoint.wire.count(auth_failures=1)
            return self._send(401, headers=verdict.headers)
        if verdict.bare and not body:
            return self._send(200, headers=verdict.headers)
        try:
            plain = self._who.decrypt(body) if encrypted else body
            request = soap.parse(plain)
        except (Undecryptable, soap.BadRequest):
            return self._send(400)
        return self._answer(request, verdict.user, encrypted, verdict.headers)

    def _answer(self, request: Request, user: str, encrypted: bool, headers: tuple[str, ...]) -> bool:
        wire = self._endpoint.wire
        wire.count_action(request.action)
        fault = wire.fault(request.action)
        if fault is not None and fault.kind != "lost_reply" and fault.kind != "truncate":
            return self._play(fault, request, encrypted)
        status, text = self._handle(request, user)
        if (fault is not None and fault.kind == "lost_reply") or not self._endpoint.machine.hears(self._door, self._client):
            raise _Closed
        kind, text = self._who.encrypt(text) if encrypted else ("application/soap+xml;charset=UTF-8", text)
        if fault is not None:
            self._link.sendall(_head(status, len(text), kind, headers) + text[: len(text) // 2])
            raise _Closed
        return self._send(status, text, kind, headers)

    def _handle(self, request: Request, user: str) -> tuple[int, bytes]:
        if request.action == "Identify":
            return 200, soap.identified(True)
        try:
            return 200, self._endpoint.shells.handle(request, user, self._client)
        except Refused as refused:
            return 500, soap.fault(request, refused.fault, self._endpoint.machine.name)

    def _play(self, fault: WireFault, request: Request, encrypted: bool) -> bool:
        if fault.kind == "status":
            return self._send(fault.code)
        if fault.kind == "fault":
            found = Fault(fault.code, "w:InternalError", "A fault that was asked for. OperationTimeout is not meant.", wmi=True)
            text = soap.fault(request, found, self._endpoint.machine.name)
            kind, text = self._who.encrypt(text) if encrypted else ("application/soap+xml;charset=UTF-8", text)
            return self._send(500, text, kind)
        if fault.kind == "stall":
            time.sleep(fault.seconds)
        raise _Closed

    def _send(
        self, status: int, body: bytes = b"", kind: str = "application/soap+xml;charset=UTF-8", headers: tuple[str, ...] = ()
    ) -> bool:
        self._link.sendall(_head(status, len(body), kind if body else None, headers) + body)
        self._endpoint.wire.count(bytes_out=len(body))
        return status not in (411, 413)


_REASONS = {200: "OK", 400: "Bad Request", 401: "", 404: "Not Found", 405: "Method Not Allowed", 411: "Length Required"}


def _head(status: int, length: int, kind: str | None, headers: tuple[str, ...]) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}", "Server: Microsoft-HTTPAPI/2.0"]
    lines += [f"WWW-Authenticate: {value}" for value in headers]
    lines += [f"Content-Type: {kind}"] if kind else []
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode("latin-1")


__all__ = ["Endpoint", "Policy", "Quotas", "SimServer", "WireFault"]
