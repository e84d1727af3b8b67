"""`pco quarantine`: the rows and files that a snapshot was built without, and trying them again after a fix."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from analysis import pipeline
from dashboard.cli_paths import Marts, MartsToChange, nameable, published
from dashboard.cli_progress import PlainLines, say_aside
from data import places
from data.extracts import digests, printable, surveyed, unreadable
from data.marts import Snapshot, current


def register(app: typer.Typer, progress_bar: Callable[[], AbstractContextManager], say: Callable[[str], None]) -> None:
    """Adds the command to `pco`."""
    quarantine = typer.Typer(no_args_is_help=True, help="Rows and files that the snapshot in use was built without.")
    app.add_typer(quarantine, name="quarantine")

    @quarantine.command("list")
    def list_all(marts: Marts) -> None:
        """Names each file that was left out, and the quarantined rows of each file by the rule that they break."""
        said = lines(current(marts))
        for line in said or ["Nothing is quarantined."]:
            say(line)

    @quarantine.command()
    def release(
        marts: MartsToChange,
        extracts: Annotated[
            Path, typer.Option(callback=nameable, help="The extracts folder, in which files have been put right.")
        ],
    ) -> None:
        """Looks at the quarantined files anew and builds with those that are good now, as the last build was asked.

        Only files that changed are read again. What is still bad stays in quarantine.
        """
        place = published(marts)
        snapshot = current(place.folder)
        extracts = places.extracts_at(str(extracts), place.folder, PlainLines(say_aside))
        was = held(snapshot)
        if not was:
            say("Nothing is quarantined.")
            return
        better, still = looked_at_again(snapshot, extracts)
        for name, reason in still.items():
            say(f"still quarantined: {name}: {reason}")
        for name in better:
            say(f"good to be read: {name}")
        if not better:
            say("Nothing has changed; there is nothing to release.")
            return
        with progress_bar() as show:
            before_use = partial(place.publish, progress=show)
            asked = parameters(snapshot.manifest)
            built = pipeline.build(extracts, place.folder, asked, show, before_use=before_use)
        say(f"Snapshot {built.number} of {built.rows('outcomes'):,} Devices is in use in {place}")


def lines(snapshot: Snapshot) -> list[str]:
    """One a file that was left out, and one a file and rule of quarantined rows."""
    left_out = [f"file: {name}: {reason}" for name, reason in snapshot.manifest.get("left_out") or []]
    rows = snapshot.frame("quarantine").sort("extract", "file", "rule").iter_rows(named=True)
    return left_out + [f"rows: {printable(row['file'])}: {row['rows']:,} rows break {row['rule']}" for row in rows]


def held(snapshot: Snapshot) -> set[str]:
    """The names, as printed, of the files that were left out or have quarantined rows."""
    left_out = {name for name, _ in snapshot.manifest.get("left_out") or []}
    return left_out | {printable(name) for name in snapshot.frame("quarantine")["file"].unique()}


def looked_at_again(snapshot: Snapshot, extracts: Path) -> tuple[list[str], dict[str, str]]:
    """The quarantined files that are worth another reading, and why each of the others is not."""
    was = held(snapshot)
    left_out = {name for name, _ in snapshot.manifest.get("left_out") or []}
    found = surveyed(extracts, leave_out_bad=True)
    told = digests(found, _known(snapshot), leave_out_bad=True)
    of_quarantine = [file for file in found.all_files() if printable(file.name) in was]
    bad = unreadable([file for file in of_quarantine if printable(file.name) in left_out])
    still = {problem.name: problem.reason for problem in [*found.left_out, *bad] if problem.name in was}
    before = _digests(snapshot)
    for file in of_quarantine:
        name = printable(file.name)
        if name not in still and before.get(file.name) == told[file.name]:
            still[name] = "as it was at the build, with its rows that break the contract"
    gone = was - {printable(file.name) for file in found.all_files()} - still.keys()
    # A file that is gone is put right too, unless the sender lists it still.
    better = [printable(file.name) for file in of_quarantine if printable(file.name) not in still] + sorted(gone)
    return better, still


def _digests(snapshot: Snapshot) -> dict[str, str]:
    extracts = snapshot.manifest["extracts"].values()
    return {file["name"]: file["sha256"] for extract in extracts for file in extract["files"]}


def _known(snapshot: Snapshot) -> dict[str, tuple]:
    """What need not be digested again, where the manifest tells the files' identities."""
    extracts = snapshot.manifest["extracts"].values()
    files = [file for extract in extracts for file in extract["files"]]
    return {file["name"]: (file["identity"], file["sha256"]) for file in files if file.get("identity")}


def parameters(manifest: dict) -> pipeline.Parameters:
    """What the build of a snapshot was asked for."""
    asked = {name: manifest[name] for name in (one.name for one in fields(pipeline.Parameters)) if name in manifest}
    asked["as_at"] = datetime.fromisoformat(manifest["as_at"]) if manifest["as_at_is_given"] else None
    return pipeline.Parameters(**asked)
