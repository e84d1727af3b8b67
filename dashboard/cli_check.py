"""`pco check`: all that is wrong with the extracts, without building."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from analysis.pipeline import MOST_QUARANTINED
from dashboard.cli_paths import nameable
from data.check import Checked, checked
from data.extracts import InputRefused
from data.places import place


def register(app: typer.Typer, say: Callable[[str], None]) -> None:
    """Adds the command to `pco`."""

    @app.command()
    def check(
        extracts: Annotated[Path, typer.Option(callback=nameable, help="Folder with one sub-folder an extract.")],
        max_quarantined: Annotated[
            float, typer.Option(min=0, max=1, help="The share of bad rows of an extract that would refuse it.")
        ] = MOST_QUARANTINED,
        max_missing: Annotated[
            float, typer.Option(min=0, max=1, help="The share of an extract's rows that may seem to be missing.")
        ] = 1.0,
        as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    ) -> None:
        """Says all that is wrong with the extracts, without building: files, digests, months and rows.

        Exit 3 if a build would be refused, 0 if not.
        """
        told = checked(place(str(extracts)), max_quarantined, max_missing)
        if as_json:
            print(json.dumps(told.plain(), indent=2))
        else:
            for line in lines(told):
                say(line)
        if not told.is_good:
            raise InputRefused(told.problems)


def lines(told: Checked) -> list[str]:
    """What is odd, and what is good; what refuses a build is told apart from these."""
    said = [
        f"{name}: {extract['files']:,} files, {extract['rows']:,} rows, {extract['quarantined']:,} quarantined"
        for name, extract in told.extracts.items()
    ]
    broken: Counter[tuple[str, str, str]] = Counter()
    for row in told.quarantine:
        broken[row["extract"], row["file"], row["rule"]] += row["rows"]
    said += [f"quarantined: {rows:,} rows of {file} break {rule}" for (_, file, rule), rows in sorted(broken.items())]
    said += [f"warning: {warned.extract}: {warned.sentence} ({warned.kind})" for warned in told.warnings]
    said += [
        f"unrecognised: {row['extract']}.{row['column']} {row['value']!r} in {row['rows']:,} rows"
        for row in told.unrecognised
    ]
    said += [f"ignored: {name}" for name in told.ignored]
    if told.digests_verified is not None:
        said.append(digests_sentence(told.digests_verified))
    return [*said, "A build would be refused." if told.problems else "A build would go on."]


def digests_sentence(verified: bool) -> str:
    if verified:
        return "digests: the files are those of the sender's SHA256SUMS, but for what is named"
    return "digests: there is no SHA256SUMS, so a file that was damaged on its way may pass"
