"""A process that keeps a ledger of what has been done in the world, and outlives whoever does it.

python proof_ledger.py SOCKET FILE

Each call comes through the socket as a line: its idempotency key, a tab, and what it is. The line is appended to the
file, which is on the disk (`fsync`) before the call is acknowledged. The process ends when its standard input does.
"""

from __future__ import annotations

import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Ledger:
    """The ledger, as whoever has started its process reads it."""

    def __init__(self, directory: str) -> None:
        self.address = f"{directory}/ledger"
        self._file = Path(directory, "ledger.txt")
        self._file.touch()

    @property
    def entries(self) -> list[tuple[str, str]]:
        """What has been done, in order: idempotency key and call."""
        whole, _, _ = self._file.read_text().rpartition("\n")
        return [(key, what) for key, _, what in (line.partition("\t") for line in whole.split("\n") if line)]

    def wait_for(self, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until there are so many entries, or the process has ended."""
        while process.poll() is None and len(self.entries) < count:
            time.sleep(0.001)

    @contextmanager
    def open(self) -> Generator[subprocess.Popen[bytes], None, None]:
        """Keep it, in a process of its own, which is answered.

        Raises `AssertionError` if that has not lived until the end.
        """
        arguments = [sys.executable, __file__, self.address, str(self._file)]
        # In a session of its own, so that no signal to the others reaches it.
        with subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stdout.readline() == b"listening\n"
            try:
                yield process
                assert process.poll() is None, "the ledger's process has ended"
            finally:
                process.stdin.close()
            assert process.wait() == 0, f"the ledger's process ended with {process.returncode}"


def keep(address: str, path: str) -> None:
    """Write down what comes, until the standard input ends."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    one_at_a_time = threading.Lock()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                line = self.rfile.readline()
                if not line.endswith(b"\n"):  # the caller died while it spoke
                    return
                with one_at_a_time:
                    os.write(file, line)
                    os.fsync(file)
                self.wfile.write(b"noted\n")
            except OSError:  # the caller died before it was answered
                return

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            os._exit(1)  # a ledger that misses something is worse than none

    with Server(address, Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        print("listening", flush=True)
        sys.stdin.read()
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    keep(*sys.argv[1:])
