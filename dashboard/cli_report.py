"""`pco report`: one report, or all of a month."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from analysis.amendments import AMENDMENTS
from analysis.report import AUDIENCES, Asked, WrongReport, all_asked, source
from dashboard.cli_paths import Marts
from data.marts import current

ALL, NO_AMENDMENT = "all", "none"
FORMATS = "html,pdf,docx,xlsx,parquet"


def register(app: typer.Typer, progress_bar: Callable[[], AbstractContextManager], say: Callable[[str], None]) -> None:
    """Adds the command to `pco`; arguments that cannot be are refused as wrong usage, each by its name."""

    @app.command()
    def report(
        audience: Annotated[str, typer.Option(help=f"One of {', '.join(AUDIENCES)}, or {ALL} for every report.")],
        month: Annotated[str, typer.Option(help="Month of commissioning, YYYY-MM; those before it are the trend.")],
        marts: Marts,
        out: Annotated[Path, typer.Option(help="Folder for the files; others in it stay.")],
        party: Annotated[str | None, typer.Option(help="Party id of the DCC User; for dcc-user.")] = None,
        region: Annotated[
            str | None,
            typer.Option(
                help="CSP region; for csp, and to narrow ssc and dcc-user. Not for panel and industry: reports of "
                "parts beside one of the whole would give away the small numbers that theirs leave out; the Panel's "
                "has a table by region."
            ),
        ] = None,
        accept: Annotated[
            str,
            typer.Option(help=f"The amended set, comma-separated, or {NO_AMENDMENT}: {', '.join(AMENDMENTS)}."),
        ] = ",".join(AMENDMENTS),
        evidence: Annotated[bool, typer.Option(help="Whether the set asks for certificate evidence.")] = True,
        formats: Annotated[str, typer.Option("--format", help="Which of the five formats, comma-separated.")] = FORMATS,
        stamp: Annotated[
            str | None,
            typer.Option(metavar="TIME", help="When the report says that it was made (ISO 8601, UTC); now by default."),
        ] = None,
    ) -> None:
        """Writes reports as HTML, PDF, DOCX, XLSX and Parquet, from the snapshot in use.

        The same arguments and snapshot give the same bytes but for the stamp.
        """
        # Documents take half a second to import, which no other command should wait for.
        from dashboard.reports import batch

        snapshot, made_at = current(marts), _instant(stamp)
        accepted = () if accept == NO_AMENDMENT else tuple(name.strip() for name in accept.split(","))
        try:
            if audience == ALL:
                _refuse_with_all(party, region)
                asked = all_asked(month, source(snapshot), accepted, evidence)
            else:
                asked = [Asked(audience, month, party, region, accepted, evidence)]
            wanted = tuple(dict.fromkeys(name.strip() for name in formats.split(",")))
            with progress_bar() as show:
                made = batch.make(asked, snapshot, out, made_at, wanted, show)
        except WrongReport as error:
            raise typer.BadParameter(str(error)) from error
        say(f"{len(asked)} {'report is' if len(asked) == 1 else 'reports are'} in {out} ({len(made):,} files)")


def _refuse_with_all(party: str | None, region: str | None) -> None:
    for name, value in (("party", party), ("region", region)):
        if value is not None:
            raise WrongReport(f"--{name} {value}: does not go with --audience {ALL}")


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    try:
        found = datetime.fromisoformat(text)
        found = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--stamp {text}: is no ISO 8601 time") from error
    # Zip archives, and so DOCX and XLSX, know no earlier time.
    if found.year < 1980:
        raise typer.BadParameter(f"--stamp {text}: must not be before 1980")
    return found.replace(microsecond=0)
