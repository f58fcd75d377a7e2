"""A forward proxy on loopback, as a site's firewall has one: tunnels for CONNECT, absolute addresses for plain http.

It keeps what it could read. That is the point: of a tunnel it knows the target only, of a plain request every header.
"""

import base64
import select
import socket
import ssl
import threading
from dataclasses import dataclass
from urllib.parse import urlsplit

HEAD_MAX = 64 * 1024
IDLE_S = 120


@dataclass
class Passed:
    """One request that the proxy was sent."""
    method: str             # "CONNECT", or that of a plain request
    target: str             # "host:port" of a tunnel, or the absolute address
    headers: dict           # lower-case name -> value: all that the proxy could read
    bytes_up: int = 0       # through the tunnel, after its head
    first: bytes = b""      # what came first through the tunnel


class Proxy:
    """
        with Proxy() as proxy:
            ... upstreams: [{proxy: proxy.url, ..}] ...
            assert not [r for r in proxy.requests() if "authorization" in r.headers]
    """

    def __init__(self, user=None, password=None, tls=None):
        """tls: (chain, key) of a proxy that is itself reached by https."""
        self.basic = user and "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.sock.getsockname()[1]
        self.passed, self.lock, self.live, self.stopping = [], threading.Lock(), set(), False
        threading.Thread(target=self._accept, args=(self.sock, self._serve), daemon=True).start()
        self.front = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
            self.front = socket.create_server(("127.0.0.1", 0), backlog=128)
            threading.Thread(target=self._accept, args=(self.front, self._serve_tls), daemon=True).start()

    url = property(lambda self: f"https://127.0.0.1:{self.front.getsockname()[1]}" if self.front else f"http://127.0.0.1:{self.port}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        with self.lock:
            live = [self.sock, *([self.front] if self.front else []), *self.live]
        for sock in live:
            shut(sock)

    def requests(self):
        with self.lock:
            return list(self.passed)

    def _accept(self, listener, serve):
        while not self.stopping:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def _serve_tls(self, sock):
        """Takes TLS off, and is a client of the plain proxy with what is in it."""
        sock.settimeout(IDLE_S)
        try:
            with self.context.wrap_socket(sock, server_side=True) as client, socket.create_connection(("127.0.0.1", self.port), 10) as plain:
                relay(client, plain)
        except OSError:
            pass        # a client that does not trust us hangs up

    def _serve(self, client):
        client.settimeout(IDLE_S)
        with self.lock:
            self.live.add(client)
        try:
            while self._one(client):
                pass
        except (OSError, ValueError):
            pass
        finally:
            with self.lock:
                self.live.discard(client)
            client.close()

    def _one(self, client):
        head, rest = read_head(client)
        if not head:
            return False
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        seen = Passed(method, target, headers)
        with self.lock:
            self.passed.append(seen)
        if self.basic and headers.get("proxy-authorization") != self.basic:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"site\"\r\nContent-Length: 0\r\n\r\n")
            return True
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), 10) as upstream:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                pump(client, upstream, rest, seen)
            return False
        return self._plain(client, seen, lines, rest)

    def _plain(self, client, seen, lines, rest):
        """Sends a plain request on, in origin form, on a connection of its own; the answer passes as it comes until upstream closes."""
        to = urlsplit(seen.target)
        target = (to.path or "/") + (f"?{to.query}" if to.query else "")
        kept = [line for line in lines[1:] if line.partition(":")[0].lower() not in ("connection", "proxy-connection", "proxy-authorization")]
        with socket.create_connection((to.hostname, to.port or 80), 10) as upstream:
            head = "\r\n".join([f"{seen.method} {target} HTTP/1.1", *kept, "Connection: close"]) + "\r\n\r\n"
            pump(client, upstream, head.encode("latin-1") + rest, seen)
        return False


def read_head(sock):
    """(head without its blank line, what came behind it); (b"", b"") at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more or len(data) > HEAD_MAX:
            return b"", b""
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def pump(client, upstream, first, seen):
    """Both ways, until the upstream is done."""
    up = threading.Thread(target=_up, args=(client, upstream, first, seen), daemon=True)
    up.start()
    while data := upstream.recv(1 << 18):
        client.sendall(data)
    shut(client)
    up.join(5)


def _up(client, upstream, data, seen):
    try:
        while True:
            seen.first = (seen.first + data)[:HEAD_MAX]
            seen.bytes_up += len(data)
            if data:
                upstream.sendall(data)
            data = client.recv(1 << 18)
            if not data:
                break
    except OSError:
        pass
    shut(upstream)


def relay(tls, plain):
    """Both ways in one thread, which a TLS connection wants, until either side is done."""
    while True:
        ready = [tls] if tls.pending() else select.select([tls, plain], [], [], IDLE_S)[0]
        for sock in ready:
            data = sock.recv(1 << 16)
            if not data:
                return
            (plain if sock is tls else tls).sendall(data)
        if not ready:
            return


def shut(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass        # it is closed, or the peer was first
