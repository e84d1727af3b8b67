"""`pco ingest`: real messages in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer, progress_bar: Callable[[], AbstractContextManager], say: Callable[[str], None]) -> None:
    """Adds the command to `pco`."""

    @app.command()
    def ingest(
        messages: Annotated[Path, typer.Option(help="Folder with message logs: .ndjson, also .gz and .zst.")],
        out: Annotated[Path, typer.Option(help="Extracts folder; others in it than those made here stay.")],
        workers: Annotated[
            int | None, typer.Option(min=1, help="Processes that decode; as many as there are processors by default.")
        ] = None,
    ) -> None:
        """Makes the extracts service_responses and credential_reads from logs of DUIS and GBCS messages.

        The messages themselves are kept as the extract messages, for the Device page; no verdict rests on it. A log
        that was read before is not read again, unless by an earlier version. Lines that break a rule are left out,
        counted, and listed in OUT/ingested/quarantine.jsonl; of a read that says two things of one role, only that
        role is left out. Signatures are not verified.
        """
        # Parsers of XML and certificates take a tenth of a second to import, which no other command should wait for.
        from data.messages.ingest import ingest as ingest_messages

        with progress_bar() as show:
            made = ingest_messages(messages, out, show, workers)
        say(f"{made.decoded:,} new of {made.files:,} logs, {made.lines:,} messages in all")
        say(
            f"{made.service_responses:,} rows of service_responses and {made.credential_reads:,} of credential_reads "
            f"are in {out}, with {made.messages:,} messages as they came"
        )
        for rule, lines in made.quarantined.items():
            say(f"quarantined: {lines:,} lines break {rule}")
        if made.quarantined:
            say(f"Which lines: {out / 'ingested' / 'quarantine.jsonl'}")
