"""Work done one piece behind whoever makes it: while one piece is written, the next is got ready."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType


class Behind:
    """Calls made one at a time and in order, by a thread of their own; an error of one is raised by the next.

    No more than one call waits: what it is to work on is held until then.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._last: Future | None = None

    def __enter__(self) -> "Behind":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._pool:
            if error is None:
                self._wait()

    def call(self, function: Callable, *arguments) -> None:
        self._wait()
        self._last = self._pool.submit(function, *arguments)

    def _wait(self) -> None:
        last, self._last = self._last, None
        if last:
            last.result()
