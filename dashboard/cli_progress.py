"""How far a command has come: a bar on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

# What is printed comes from the extracts: `[x]` and `:x:` in it are no markup.
out = Console(markup=False, emoji=False, highlight=False)


def say(line: str) -> None:
    print(line, flush=True)


def say_aside(line: str) -> None:
    """Beside what programs read."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress_bar() -> Iterator:
    """Shows (stage, done, total): a bar on a terminal, a plain line a stage elsewhere."""
    if not out.is_terminal:
        yield PlainLines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as bars:
        tasks: dict[str, int] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show


class PlainLines:
    """One line when a stage begins, one each tenth of it, one when it ends."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self._told: dict[str, int] = {}
        self._tell = tell

    def __call__(self, stage: str, done: int, total: int) -> None:
        tenth = 10 * done // total if total else 10
        if self._told.get(stage) != tenth:
            self._told[stage] = tenth
            self._tell(f"{stage}: {done:,} of {total:,}")
