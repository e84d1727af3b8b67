"""`pco snapshots`: which snapshots are kept, whether they are whole, which one is in use, and which may go."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dashboard.cli_paths import Marts, MartsToChange, published
from data import keeping, scopes
from data.marts import in_use, snapshots
from data.mirror import Published

Number = Annotated[int, typer.Argument(min=1, help="A snapshot's number, as `list` tells it.")]


def register(app: typer.Typer, say: Callable[[str], None]) -> None:
    """Adds the commands to `pco`."""
    commands = typer.Typer(no_args_is_help=True, help="Lists, verifies, removes and puts to use the snapshots kept.")
    app.add_typer(commands, name="snapshots")

    @commands.command(name="list")
    def list_(marts: Marts, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
        """Tells of each snapshot what it speaks of, its size, and whether it is in use or held by a reader."""
        rows = [_row(entry) for entry in keeping.entries(marts)]
        if as_json:
            print(json.dumps(rows, indent=2))
            return
        for row in rows:
            say(_line(row))

    @commands.command()
    def prune(
        marts: MartsToChange,
        keep: Annotated[int, typer.Option(min=1, help="How many of the newest snapshots stay.")],
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tells what would go.")] = False,
    ) -> None:
        """Removes all but the newest snapshots, never the one in use nor one that a reader has open."""
        prune_and_tell(published(marts), keep, say, dry_run)

    @commands.command()
    def use(number: Number, marts: MartsToChange) -> None:
        """Puts a kept snapshot to use again, once every file of it is verified; pages show it at their next run."""
        place = published(marts)
        with _known():
            keeping.use(place.folder, number, place.use)
        say(f"Snapshot {number} is in use in {place}")

    @commands.command()
    def verify(
        marts: MartsToChange, number: Annotated[int | None, typer.Argument(min=1, help="Only this snapshot.")] = None
    ) -> None:
        """Computes the digest of every file of every snapshot, and names each file that is not as it was written."""
        place = published(marts)
        with _known():
            found = keeping.verify(place.folder, number)
        problems = [f"snapshot {one}: {what}" for one, damage in found.items() for what in damage]
        problems += place.problems()
        if in_use(place.folder) is None:
            problems.append("CURRENT names no snapshot: put one to use with pco snapshots use, or build")
        for one, damage in found.items():
            say(f"snapshot {one}: {'damaged' if damage else 'whole'}")
        for problem in problems:
            print(f"pco: {problem}", file=sys.stderr)
        if problems:
            # What can be fetched anew is whole for the next reader.
            place.repair([one for one, damage in found.items() if damage])
            raise typer.Exit(1)


def prune_and_tell(marts: Published, keep: int, say: Callable[[str], None], dry_run: bool = False) -> None:
    """Removes older snapshots and what was sealed of them, a line for what became of each."""
    for number, fate in keeping.prune(marts.folder, keep, dry_run, marts.forget).items():
        would = " would be" if dry_run and fate == keeping.REMOVED else ""
        say(f"snapshot {number}:{would} {fate}")
    if not dry_run:
        # It imports streamlit, which takes longer than all else that a command needs.
        from dashboard import access

        known = access.settings() if access.is_configured() else None
        scopes.prune((known and known.scopes) or marts.folder / "scopes", snapshots(marts.folder))


@contextmanager
def _known() -> Iterator[None]:
    """A number that is not there is wrong usage."""
    try:
        yield
    except keeping.NoSuchSnapshot as error:
        raise typer.BadParameter(str(error)) from error


def _row(entry: keeping.Entry) -> dict:
    manifest = entry.manifest or {}
    return {
        "number": entry.number,
        "as_at": manifest.get("as_at"),
        "built_at": manifest.get("build_finished_at"),
        "parent": entry.parent,
        "devices": entry.devices,
        "bytes": entry.size,
        "in_use": entry.in_use,
        "held": entry.held,
        "damage": entry.damage,
    }


def _line(row: dict) -> str:
    facts = [
        f"as at {row['as_at'][:19]}" if row["as_at"] else "",
        f"built {row['built_at'][:19]}" if row["built_at"] else "",
        f"after {row['parent']}" if row["parent"] else "",
        f"{row['devices']:,} Devices" if row["devices"] is not None else "",
        f"{row['bytes'] / 1e6:,.1f} MB",
        "in use" if row["in_use"] else "",
        "held by a reader" if row["held"] else "",
        f"DAMAGED: {row['damage']}" if row["damage"] else "",
    ]
    return f"snapshot {row['number']}: " + ", ".join(filter(None, facts))
