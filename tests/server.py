"""A server on the loopback interface that can misbehave as real ones do."""

import http.server


class Server(http.server.ThreadingHTTPServer):
    """Serves `data`; `faults` are taken one a request: a status, or ('cut', bytes sent before the connection ends).

    `lie` is added to the number of bytes that it tells.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.requests, self.data, self.tag = [], [], b"", '"one"'
        self.ranges, self.lie = True, 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/data.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.requests.append(self.headers.get("Range"))
        fault = server.faults.pop(0) if server.faults else None
        if isinstance(fault, int):
            self.send_error(fault)
            return
        start = 0
        if self.headers.get("Range") and server.ranges and self.headers.get("If-Range", server.tag) == server.tag:
            start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start >= len(server.data):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(server.data)}")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        self.send_header("ETag", server.tag)
        self.send_header("Content-Length", str(len(server.data) - start + server.lie))
        self.end_headers()
        self.wfile.write(server.data[start : start + fault[1]] if fault else server.data[start:])

    def log_message(self, *args):
        pass
