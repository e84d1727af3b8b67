"""`pco certificates`: SMKI certificates and revocation lists to the extract `certificates`."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer, progress_bar: Callable[[], AbstractContextManager], say: Callable[[str], None]) -> None:
    """Adds the command to `pco`."""

    @app.command()
    def certificates(
        folder: Annotated[Path, typer.Option("--from", help="Folder with PEM or DER files, certificates and CRLs.")],
        out: Annotated[Path, typer.Option(help="Extracts folder; others in it stay.")],
        as_at: Annotated[
            str | None,
            typer.Option(
                metavar="TIME",
                help="Expired and revoked are as they stood at this UTC time (ISO 8601); now by default.",
            ),
        ] = None,
    ) -> None:
        """Writes the certificates extract from SMKI certificates and revocation lists (CRLs).

        What cannot be read is named with its file and reason, and the rest goes on; with no certificate at all
        nothing is changed (exit 3). Signatures and chains are not verified.
        """
        # It takes a tenth of a second to import, which no other command should wait for.
        from data.messages import certificates as reader

        moment = _instant(as_at)
        with progress_bar() as show:
            made = reader.write(folder, out, moment, show)
        for problem in made.problems:
            print("pco: left out: " + " ".join(problem.split()), file=sys.stderr)
        counts = ", ".join(f"{rows:,} {status}" for status, rows in made.by_status.items())
        say(
            f"{made.rows:,} certificates ({counts}) are in {out / 'certificates'}, "
            f"from {made.files:,} files with {made.lists:,} revocation lists; left out: {len(made.problems):,}"
        )


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--as-at") from error
