"""A service that greets customers by name: it is well as long as its queries work. Usage: service.py DATABASE [PORT]."""

from __future__ import annotations

import http.server
import json
import sqlite3
import sys


class Service(http.server.BaseHTTPRequestHandler):
    """`/health` asks the database what a real request would ask."""

    def do_GET(self) -> None:
        """Answers 200, or 503 with the reason."""
        connection = sqlite3.connect(sys.argv[1])
        try:
            (name,) = connection.execute("select name from customer order by id limit 1").fetchone()
            status, body = 200, {"state": "ok", "first": name}
        except sqlite3.Error as e:
            status, body = 503, {"state": "down", "reason": str(e)}
        finally:
            connection.close()
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


if __name__ == "__main__":
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 8043
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Service) as server:
        sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()
