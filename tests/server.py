"""A server on the loopback interface that can misbehave as real ones do."""

import http.server
from email.utils import formatdate


class Server(http.server.ThreadingHTTPServer):
    """Serves `data`; `faults` are taken one a request.

    A fault is a status; ('cut', bytes sent before the connection ends); ('changed', status, headers, body), which
    changes an answer that is otherwise right: a header that is None is not sent, and the body, if it is not None, is an
    iterable of bytes; or ('chunks', iterable of bytes), a body of no announced length, whose end is left out.

    Its other attributes: `tag` and `date`, entity tag and Last-Modified, or None; `ranges`, whether it sends parts;
    `headers`, sent with every answer; `lie`, added to the number of bytes that it tells;
    `asked`, the headers of each request, and `requests`, their Range.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests, self.asked, self.headers = [], [], [], {}
        self.data, self.tag, self.date, self.ranges, self.lie = b"", '"one"', None, True, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        server.asked.append(self.headers)
        self.close_connection = True
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            self.send_error(fault)
            return
        kind, *details = fault or (None,)
        status, start, size = 200, 0, len(server.data)
        asked = self.headers.get("Range")
        if asked and server.ranges and self.headers.get("If-Range") in (None, server.tag, server.date):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            status = 206 if start < size else 416
        body = [server.data[start:]]
        headers = {"ETag": server.tag, "Last-Modified": server.date, "Content-Length": str(size - start + server.lie)}
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        elif status == 416:
            headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
        headers |= server.headers
        if kind == "changed":
            status, body = details[0] or status, body if details[2] is None else details[2]
            headers |= details[1]
        elif kind == "cut":
            body = [body[0][: details[0]]]
        elif kind == "chunks":
            headers |= {"Content-Length": None, "Transfer-Encoding": "chunked"}
            body = (f"{len(block):x}\r\n".encode() + block + b"\r\n" for block in details[0])
        self.answer(status, headers, body)

    def answer(self, status, headers, body):
        self.send_response_only(status)
        self.send_header("Date", formatdate(usegmt=True))
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        try:
            for block in body:
                self.wfile.write(block)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough

    def log_message(self, *args):
        pass
