"""A wire between us and a server, which can be stalled either way, and cut."""

import contextlib
import socket
import threading


class Wire:
    """Hands bytes on between whoever connects to its *port* and the server at *target*, until told otherwise."""

    def __init__(self, target: int, lasts: int | None = None) -> None:
        """*lasts* is after how many pieces that went up it is closed; None: it is not."""
        self._target = target
        self._left = lasts
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket, dict[str, threading.Event]]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self, way: str) -> None:
        """Hold back what goes *up* to the server or *down* from it, on the connections there are: nothing is reset."""
        for _, _, flows in self._pairs:
            flows[way].clear()

    def go_on(self) -> None:
        """Hand on what was held back."""
        for _, _, flows in self._pairs:
            for flow in flows.values():
                flow.set()

    def cut(self) -> None:
        """Cut the connections there are."""
        for ours, theirs, _ in self._pairs:
            for end in (ours, theirs):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cut all, and take no more."""
        self.go_on()
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            try:
                theirs = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                ours.close()
                continue
            flows = {"up": threading.Event(), "down": threading.Event()}
            for flow in flows.values():
                flow.set()
            ended: list[str] = []
            self._pairs.append((ours, theirs, flows))
            for source, sink, way in ((ours, theirs, "up"), (theirs, ours, "down")):
                threading.Thread(target=self._carry, args=(source, sink, flows[way], way, ended), daemon=True).start()

    def _carry(
        self, source: socket.socket, sink: socket.socket, flow: threading.Event, way: str, ended: list[str]
    ) -> None:
        with contextlib.suppress(OSError):
            while taken := source.recv(65536):
                flow.wait()
                if way == "up" and self._left is not None:
                    self._left -= 1
                    if self._left < 0:
                        self.close()
                        break
                sink.sendall(taken)
        flow.wait()  # the end comes after what is held back, as in a network
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        ended.append(way)
        if len(ended) == 2:  # both ways
            source.close()
            sink.close()
