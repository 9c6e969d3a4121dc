"""Messages arrive: by mail at a real mail server, by chat at a real service; and what could not be delivered is a failure."""

from __future__ import annotations

import os
import socketserver
import threading
from collections.abc import Iterator

import pytest

from tests.pipeline.conftest import Folder, Service

PIPELINE = """
name: shop
secrets: {TO: {env: TO}}
stages:
  - name: one
    steps:
      - {name: tell, notify: {to: "${{ secrets.TO }}", title: "Release of ${{ run.pipeline }}", body: "all is well"}}
"""


class Mail(socketserver.StreamRequestHandler):
    """Takes mail."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        while line := self.rfile.readline():
            word = line.split()[0].upper()
            if word == b"DATA":
                self.wfile.write(b"354 go\r\n")
                content = b""
                while (part := self.rfile.readline()) != b".\r\n":
                    content += part
                self.server.mails.append(content.decode())  # type: ignore[attr-defined]
            if word == b"QUIT":
                self.wfile.write(b"221 bye\r\n")
                return
            self.wfile.write(b"250 ok\r\n")


@pytest.fixture
def mails() -> Iterator[tuple[int, list[str]]]:
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.daemon_threads = True
    server.mails = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1], server.mails  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


def told(folder: Folder, to: str) -> dict[str, object]:
    folder.write("pipeline.yaml", PIPELINE)
    done = folder.run(env={**os.environ, "TO": to})
    stored = (folder.path / ".tagback" / "runs.db").read_bytes().decode(errors="replace")
    assert to not in done.out + done.err + stored
    return done.body


def test_a_mail_arrives(folder: Folder, mails: tuple[int, list[str]]) -> None:
    port, arrived = mails
    address = f"mailto://127.0.0.1:{port}?from=tagback@example.org&to=ann@example.org&mode=insecure&smtp=127.0.0.1"
    body = told(folder, address)
    assert body["state"] == "done", body
    (mail,) = arrived
    assert "Release of shop" in mail
    assert "To: ann@example.org" in mail


def test_a_message_to_a_chat_arrives(folder: Folder, service: Service) -> None:
    body = told(folder, f"{service.url.replace('http', 'json')}/rooms/releases")
    assert body["state"] == "done", body
    ((method, path, sent),) = service.asked
    assert (method, path) == ("POST", "/rooms/releases")
    assert '"title": "Release of shop"' in sent
    assert "all is well" in sent


def test_without_words_of_its_own_it_says_which_pipeline_it_is(folder: Folder, service: Service) -> None:
    text = "name: shop\nstages: [{name: a, steps: [{name: b, notify: {HOW}}, {name: c, notify: {webhook: URL}}]}]\n"
    how = f"to: '{service.url.replace('http', 'json')}'"
    folder.write("pipeline.yaml", text.replace("HOW", how).replace("URL", f"'{service.url}/hook'"))
    assert folder.run().body["state"] == "done"
    (_, _, chat), (_, path, hook) = service.asked
    assert '"title": "shop"' in chat
    assert (path, hook) == ("/hook", '{"text": "shop: running"}')


def test_what_is_not_delivered_is_a_failure(folder: Folder, service: Service) -> None:
    service.status = 403
    body = told(folder, f"{service.url.replace('http', 'json')}/rooms/secret-room")
    assert body["failure"]["error"]["type"] == "http"  # type: ignore[index]
    assert told(folder, "nonsense://x")["failure"]["error"]["code"] == "address"  # type: ignore[index]
