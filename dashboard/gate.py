"""Bounds how many pages are drawn at once; who comes later waits in line, and who waits too long is told.

Each drawing takes a core for a part of a second: many at once would all be late together.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# A waiting run looks this often, in seconds, whether its reader is still there or wants something else by now.
LOOK_AGAIN = 0.25


class Gate:
    """Lets `most` runs in at once, in the order in which they came; others wait at most `patience` seconds."""

    def __init__(self, most: int, patience: float):
        self.most = most
        self.patience = patience
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._running = 0
        self._is_closed = False

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def close(self) -> None:
        """Lets nobody in any more; who is in may finish."""
        with self._lock:
            self._is_closed = True

    @contextmanager
    def turn(self, still_wanted: Callable[[], None] = lambda: None) -> Iterator[bool]:
        """Whether the run may go on; its place is given back however it ends.

        `still_wanted` is called now and then while waiting, and raises when the run is wanted no longer.
        """
        is_in = self._enter(still_wanted)
        try:
            yield is_in
        finally:
            if is_in:
                self._leave()

    def _enter(self, still_wanted: Callable[[], None]) -> bool:
        give_up = time.monotonic() + self.patience
        ticket = threading.Event()
        with self._lock:
            self._waiting.append(ticket)
            self._admit()
        try:
            while not ticket.wait(max(0.0, min(LOOK_AGAIN, give_up - time.monotonic()))):
                still_wanted()
                if self._is_closed or time.monotonic() >= give_up:
                    return not self._withdraw(ticket)
        except BaseException:
            if not self._withdraw(ticket):
                self._leave()
            raise
        return True

    def _withdraw(self, ticket: threading.Event) -> bool:
        """Takes the ticket out of the line, unless it was called up at this very moment."""
        with self._lock:
            if ticket.is_set():
                return False
            self._waiting.remove(ticket)
            return True

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
            self._admit()

    def _admit(self) -> None:
        while self._waiting and self._running < self.most and not self._is_closed:
            self._running += 1
            self._waiting.popleft().set()
