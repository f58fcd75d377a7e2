"""HTTP/1.1 on plain sockets, one thread a connection.

Written by hand, not on http.server, because a scripted Hub must be able to do what no polite server does: stop in
mid-body, reset, stall, lie about a length, hand out a path exactly as it arrived. It knows nothing of models.
"""

import os
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

HEAD_MAX = 64 * 1024            # request line and headers
BODY_MAX = 64 * 1024 * 1024     # request body; the largest real one is a paths-info POST
IDLE_S = 120                    # a kept-alive connection that says nothing
CHUNK = 8 * 1024 * 1024         # one sendfile call; small enough that a stop is noticed soon

REASONS = {
    200: "OK", 206: "Partial Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
    307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 410: "Gone", 413: "Content Too Large",
    416: "Range Not Satisfiable", 429: "Too Many Requests", 451: "Unavailable For Legal Reasons",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}


class Disconnect(Exception):
    """The connection is over, on purpose or because the peer left."""


class BadRequest(Exception):
    """What arrived is not HTTP/1.1 as we speak it; the text says why."""


@dataclass
class Request:
    listener: str               # "hub", "cdn" or "other"
    method: str
    target: str                 # as it stood in the request line
    headers: dict               # lower-case name -> value, repeated ones joined by ", "
    body: bytes
    client: tuple
    started: float = field(default_factory=time.time)

    @property
    def raw_path(self):
        return self.target.split("?", 1)[0]

    @property
    def path(self):
        return unquote(self.raw_path)

    @property
    def raw_query(self):
        return self.target.split("?", 1)[1] if "?" in self.target else ""

    @property
    def query(self):
        return urllib.parse.parse_qsl(self.raw_query, keep_blank_values=True)

    def values(self, name):
        """All values of a repeated parameter; `name[]` is accepted for `name`, as the Hub does."""
        return [v for k, v in self.query if k in (name, name + "[]")]

    def value(self, name, default=None):
        return next(iter(self.values(name)), default)

    def flag(self, name):
        return self.value(name, "").lower() in ("true", "1")


def unquote(text):
    """Percent-decoding that keeps bytes which are not UTF-8 (as surrogates, the way os.fsdecode does)."""
    return urllib.parse.unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def quote(text, safe="/"):
    return urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe=safe)


@dataclass
class FileBody:
    """`length` bytes of a file (or of bytes held in memory) from `start`."""
    source: object              # os.PathLike or bytes
    start: int
    length: int


@dataclass
class Response:
    status: int = 200
    headers: list = field(default_factory=list)
    body: object = b""          # bytes, FileBody, or an iterator of bytes (sent chunked)
    effects: dict = field(default_factory=dict)     # the body effects of faults.py
    close: bool = False
    silent: str = None          # "fin" or "rst": end the connection without an answer

    def get(self, name):
        return next((v for k, v in self.headers if k.lower() == name.lower()), None)

    def set(self, name, value):
        self.drop(name)
        if value is not None:
            self.headers.append((name, str(value)))

    def drop(self, name):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]


class Listener:
    """A port that hands each request to `app(request) -> Response` and tells `done(request, response, sent)`."""

    def __init__(self, name, host, port, app, done, tls=None):
        """tls: an ssl.SSLContext; every connection then begins with a handshake."""
        self.name, self.app, self.done, self.tls = name, app, done, tls
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(256)
        self.host, self.port = self.sock.getsockname()[:2]
        self.stopping = threading.Event()
        self.live = set()
        self.lock = threading.Lock()
        self.connections = 0            # ever accepted
        self.ended = threading.Condition()
        self.ending = set()             # answers of which the peer may have all before `done` is told
        self.thread = threading.Thread(target=self._accept, name=f"hub-{name}", daemon=True)
        self.thread.start()

    @property
    def authority(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def stop(self):
        self.stopping.set()
        # shutdown() wakes the accept() that close() would leave blocked
        for closing in (lambda: self.sock.shutdown(socket.SHUT_RDWR), self.sock.close):
            try:
                closing()
            except OSError:
                pass
        with self.lock:
            live = list(self.live)
        for sock in live:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(5)

    def begin_end(self, answer):
        with self.ended:
            self.ending.add(answer)

    def end(self, answer):
        with self.ended:
            self.ending.discard(answer)
            self.ended.notify_all()

    def settle(self, timeout_s):
        """Returns when `done` was told of each answer that a peer may have all of; or after this long, since a peer need not read."""
        with self.ended:
            now = set(self.ending)
            self.ended.wait_for(lambda: not now & self.ending, timeout_s)

    def _accept(self):
        while not self.stopping.is_set():
            try:
                sock, peer = self.sock.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(IDLE_S)
            with self.lock:
                self.live.add(sock)
                self.connections += 1
            threading.Thread(target=self._serve, args=(sock, peer), daemon=True).start()

    def _serve(self, sock, peer):
        try:
            if self.tls:
                sock = self._shake_hands(sock)
            conn = Connection(sock, self)
            while not self.stopping.is_set() and conn.one(peer):
                pass
        except (Disconnect, OSError):
            pass
        finally:
            with self.lock:
                self.live.discard(sock)
            sock.close()


    def _shake_hands(self, sock):
        bare, sock = sock, self.tls.wrap_socket(sock, server_side=True)
        with self.lock:
            self.live.discard(bare)
            self.live.add(sock)
        return sock


class Connection:
    def __init__(self, sock, listener):
        self.sock, self.listener, self.buffer = sock, listener, b""
        self.answer = None      # stands for the answer being sent, in Listener.ending

    def one(self, peer):
        """Read a request, answer it; False when the connection should end."""
        try:
            request = self._read(peer)
        except BadRequest as e:
            self._send(None, Response(400, [("Content-Type", "text/plain")], str(e).encode(), close=True), [0])
            return False
        if request is None:
            return False
        response = self.listener.app(request)
        close = response.close or "close" in request.headers.get("connection", "").lower()
        sent = [0]      # a cell, so that a broken answer is logged with what went out
        self.answer = object()
        try:
            self._send(request, response, sent, close)
        finally:
            self.listener.done(request, response, sent[0])
            self.listener.end(self.answer)
            self.answer = None
        return not close

    def last(self):
        """Called before that is sent with which the peer has all of the answer."""
        if self.answer:     # not what is said to nonsense: nobody is told of that
            self.listener.begin_end(self.answer)

    # reading

    def _fill(self):
        data = self.sock.recv(65536)
        if not data:
            raise Disconnect("peer closed")
        self.buffer += data

    def _read(self, peer):
        while b"\r\n\r\n" not in self.buffer:
            if len(self.buffer) > HEAD_MAX:
                raise BadRequest("request headers are too long")
            try:
                self._fill()
            except Disconnect:
                return None
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        parts = lines[0].split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise BadRequest(f"not a request line: {lines[0][:80]!r}")
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadRequest(f"not a header: {line[:80]!r}")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        target = parts[1]
        if target.startswith("http://"):        # as a proxy sends it
            target = "/" + target[7:].partition("/")[2]
        return Request(self.listener.name, parts[0], target, headers, self._read_body(headers), peer)

    def _read_body(self, headers):
        if headers.get("expect", "").lower() == "100-continue":
            self.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return self._read_chunks()
        return self._take(int(headers.get("content-length") or 0))

    def _take(self, n):
        if n > BODY_MAX:
            raise BadRequest("request body is too long")
        while len(self.buffer) < n:
            self._fill()
        data, self.buffer = self.buffer[:n], self.buffer[n:]
        return data

    def _line(self):
        while b"\r\n" not in self.buffer:
            self._fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def _read_chunks(self):
        body = b""
        while True:
            n = int(self._line().split(b";")[0], 16)
            if n == 0:
                while self._line():
                    pass
                return body
            body += self._take(n)
            self._line()
            if len(body) > BODY_MAX:
                raise BadRequest("request body is too long")

    # writing

    def _send(self, request, response, sent, close=True):
        if response.silent:
            self.reset() if response.silent == "rst" else self._quit()
        body = response.body
        if isinstance(body, bytes):
            body = FileBody(body, 0, len(body))
        head_only = (request is not None and request.method == "HEAD") or response.status in (204, 304)
        chunked = not isinstance(body, FileBody)
        if chunked:
            response.set("Transfer-Encoding", "chunked")
        elif response.get("Content-Length") is None and response.status not in (204, 304):
            response.set("Content-Length", body.length)
        response.set("Connection", "close" if close else "keep-alive")
        head = f"HTTP/1.1 {response.status} {REASONS.get(response.status, 'Unknown')}\r\n"
        head += "".join(f"{k}: {v}\r\n" for k, v in response.headers) + "\r\n"
        if head_only or (not chunked and body.length == 0):
            self.last()
        self.sock.sendall(head.encode("latin-1", "replace"))
        if head_only:
            return
        if chunked:
            self._send_chunks(body, response.effects, sent)
        else:
            Sender(self, response.effects, sent).run(body)

    def _send_chunks(self, pieces, effects, sent):
        sender = Sender(self, effects, sent)
        for piece in pieces:
            if piece:
                self.sock.sendall(b"%x\r\n" % len(piece))
                sender.run(FileBody(piece, 0, len(piece)), base=sent[0])
                self.sock.sendall(b"\r\n")
        self.last()
        self.sock.sendall(b"0\r\n\r\n")

    def _quit(self):
        raise Disconnect("silent")

    def reset(self):
        """Close so that the peer sees RST, not FIN."""
        self.last()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        raise Disconnect("reset")


class Sender:
    """Sends a body in spans that end where an effect acts. Offsets of `truncate`, `reset` and `stall` count the bytes
    of this answer; `corrupt` is an offset in the whole file, so that a ranged request meets the same wrong byte."""

    def __init__(self, conn, effects, sent):
        self.conn, self.sent = conn, sent
        self.truncate, self.reset = effects.get("truncate"), effects.get("reset")
        self.stalls = sorted([effects["stall"]]) if "stall" in effects else []
        self.corrupt = effects.get("corrupt")
        self.rate = effects.get("throttle")
        self.began = time.monotonic()

    def run(self, body, base=None):
        fd = os.open(body.source, os.O_RDONLY) if not isinstance(body.source, (bytes, memoryview)) else -1
        whole = base is None
        base = body.start if whole else base            # file offset of the first byte; for chunks, bytes so far
        first = self.sent[0]
        try:
            done = 0
            while True:
                self._act(first + done)
                if done == body.length:
                    return
                stop = self._next_stop(first + done, first + body.length) - first
                if whole and stop == body.length and not self.stalls:
                    self.conn.last()
                n = self._span(fd, body, done, stop - done, base)
                done += n
                self.sent[0] = first + done
                self._pace()
        finally:
            if fd >= 0:
                os.close(fd)

    def _act(self, at):
        if self.truncate is not None and at >= self.truncate:
            raise Disconnect("truncated")
        if self.reset is not None and at >= self.reset:
            self.conn.reset()
        while self.stalls and at >= self.stalls[0][0]:
            self._wait(self.stalls.pop(0)[1])

    def _next_stop(self, at, end):
        stops = [s for s in (self.truncate, self.reset, *(s[0] for s in self.stalls)) if s is not None and s > at]
        step = CHUNK if not self.rate else max(1024, min(CHUNK, int(self.rate / 20)))
        return min([end, at + step, *stops])

    def _span(self, fd, body, done, n, base):
        start, wrong = base + done, self.corrupt
        if fd >= 0 and not self.conn.listener.tls and not (wrong is not None and start <= wrong < start + n):
            return self._sendfile(fd, body.start + done, n)
        data = os.pread(fd, n, body.start + done) if fd >= 0 else body.source[body.start + done:body.start + done + n]
        if len(data) == 0:
            raise Disconnect("the file is shorter than it was")
        if wrong is not None and start <= wrong < start + len(data):
            data = bytearray(data)
            data[wrong - start] ^= 0x01
        self.conn.sock.sendall(data)
        return len(data)

    def _sendfile(self, fd, offset, n):
        # the socket has a timeout, so it is non-blocking underneath: wait until it takes some
        sock = self.conn.sock
        while True:
            try:
                k = os.sendfile(sock.fileno(), fd, offset, n)
            except BlockingIOError:
                writable(sock, IDLE_S)
                continue
            if k == 0:
                raise Disconnect("the file is shorter than it was")
            return k

    def _pace(self):
        if self.rate:
            ahead = self.sent[0] / self.rate - (time.monotonic() - self.began)
            if ahead > 0:
                self._wait(ahead)

    def _wait(self, seconds):
        if self.conn.listener.stopping.wait(seconds):
            raise Disconnect("stopping")


def writable(sock, timeout_s):
    import select
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLOUT)
    if not poll.poll(timeout_s * 1000):
        raise Disconnect("peer does not read")
