"""A web server on the loopback that answers well, badly, or not at all."""

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Server:
    """Serves `pages`; notes every request as (path, Range header)."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.cut_after: dict[str, list[int]] = {}  # path -> bytes after which each answer in turn is cut
        self.honours_range = True
        self.says_length = True
        self.delay = 0.0  # seconds between blocks of 1000 bytes
        self.hangs: set[str] = set()
        self.released = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.answer(self)

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.05,), daemon=True)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.httpd.server_address[1]}/{path}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, span = handler.path.lstrip("/"), handler.headers.get("Range")
        self.requests.append((path, span))
        if path in self.hangs:
            self.released.wait(30)
            return
        if path not in self.pages:
            handler.send_error(404, "Not Found")
            return
        page, start = self.pages[path], 0
        if span and self.honours_range:
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(page):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(page)}")
                handler.send_header("Content-Length", "0")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(page) - 1}/{len(page)}")
        else:
            handler.send_response(200)
        if self.says_length:
            handler.send_header("Content-Length", str(len(page) - start))
        handler.end_headers()
        body = page[start:]
        if self.cut_after.get(path):
            body = body[: self.cut_after[path].pop(0)]
        try:
            for begin in range(0, len(body), 1000):
                handler.wfile.write(body[begin : begin + 1000])
                handler.wfile.flush()
                time.sleep(self.delay)
        except OSError:
            pass  # the reader went away, which some tests want

    def __enter__(self) -> "Server":
        self.thread.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()
