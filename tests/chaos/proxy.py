"""A TCP proxy in front of a server, whose connections can be cut at any moment."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Proxy:
    """Listens on a port of its own; `cut` resets every connection that goes through it."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections at once, without a word: both sides see a reset."""
        with self._lock:
            ended, self._open = self._open, []
        for end in ended:
            with contextlib.suppress(OSError):  # it may have been closed by its thread
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def ports(self) -> set[int]:
        """The ports that the server sees its clients at."""
        with self._lock:
            return {end.getsockname()[1] for end in self._open if end.fileno() >= 0}

    def close(self) -> None:
        """Stops listening."""
        self._listening.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
            except OSError:  # closed, or there is no server: the client is not answered
                if self._listening.fileno() < 0:
                    return
                client.close()
                continue
            with self._lock:
                self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self._pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # cut
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):  # the other side is gone, too
            sink.shutdown(socket.SHUT_WR)
