"""`pco`, the one command: see `pco --help`."""

import json
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from analysis import on_spark, pipeline, tables
from dashboard import (
    cli_certificates,
    cli_check,
    cli_ingest,
    cli_quarantine,
    cli_report,
    cli_serve,
    cli_snapshots,
    missing_data,
)
from dashboard.cli_business_case import business_case
from dashboard.cli_paths import Marts, MartsToChange, nameable, published, readable
from dashboard.cli_progress import out, progress_bar, say
from dashboard.server_settings import LOOPBACK, Settings
from data import places
from data.export import CannotExport
from data.extracts import InputRefused
from data.marts import BuildUnderWay, NoSnapshot, Snapshot, current, snapshots

DONE, FAILED, WRONG_USAGE, REFUSED = 0, 1, 2, 3
PROJECT = Path(__file__).resolve().parent.parent
DEMO_HOME = PROJECT / "data" / "demo"
DEMO_DEVICES = 300_000
PORT = 8501
# A century: a date further off overflows.
MOST_GRACE_DAYS = 36_500

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Reported versus actual Post Commissioning failures of SMETS2+ Devices. Start with [bold]pco demo[/bold].",
)
app.command("business-case")(business_case)
Extracts = Annotated[
    Path,
    typer.Option(
        callback=nameable,
        help="Folder with one sub-folder an extract (see data/contracts.toml), or s3://bucket/prefix of a store.",
    ),
]
Devices = Annotated[int, typer.Option(min=1, help="How many Devices the estate has, about.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]
Months = Annotated[int, typer.Option(min=1, max=44, help="Months of history from January 2018.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port on 127.0.0.1.")]


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Where the demonstration's files live.")] = DEMO_HOME,
    devices: Devices = DEMO_DEVICES,
    seed: Seed = 1,
    port: Port = PORT,
) -> None:
    """Makes a demonstration estate if none is there, builds it, and serves the dashboard.

    The estate is synthetic: every party in it is fictional. A second call starts in seconds, as the estate and
    its snapshot are kept.
    """
    extracts, marts = home / "extracts", home / "marts"
    # Written last by the generator: without it the extracts are not whole.
    if (extracts / "DEMONSTRATION.json").is_file():
        say(f"The demonstration in {home} is kept as it is; for another, choose another --home")
    else:
        generate(out=extracts, devices=devices, seed=seed)
    try:
        current(marts)
    except NoSnapshot:
        build(extracts=extracts, marts=marts)
    serve(marts=marts, port=port)


@app.command()
def generate(
    out: Annotated[Path, typer.Option(help="Folder for the extracts; must be new, empty or a demonstration's.")],
    devices: Devices = DEMO_DEVICES,
    seed: Seed = 1,
    months: Months = 44,
) -> None:
    """Writes synthetic extracts of a fictional estate, the same bytes for the same arguments.

    The planted truth goes to a folder of its own beside them, which no build reads.
    """
    # The generator takes a tenth of a second to import, which no other command should wait for.
    from data.estate import generate as generate_estate

    with progress_bar() as show:
        generate_estate(out, devices, seed, months, lambda done, total: show("Making the estate", done, total))
    say(f"Extracts of {devices:,} Devices are in {out}")


@app.command()
def build(
    extracts: Extracts,
    marts: MartsToChange,
    as_at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Count only what was known at this UTC time (ISO 8601)."),
    ] = None,
    grace_days: Annotated[
        int, typer.Option(min=0, max=MOST_GRACE_DAYS, help="Days after commissioning until a check is due.")
    ] = 7,
    max_quarantined: Annotated[
        float, typer.Option(min=0, max=1, help="Refuse an extract of which more than this share is bad.")
    ] = pipeline.MOST_QUARANTINED,
    quarantine_files: Annotated[
        bool, typer.Option("--quarantine-files", help="Go on without files that cannot be read; every page says so.")
    ] = False,
    max_missing: Annotated[
        float,
        typer.Option(min=0, max=1, help="Refuse an extract of which more than this share of the rows seems missing."),
    ] = 1.0,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove older snapshots but for this many, as pco snapshots prune does.")
    ] = None,
    engine: Annotated[
        Literal["duckdb", "spark"], typer.Option(help="What reads and judges: this machine alone, or a Spark cluster.")
    ] = "duckdb",
    master: Annotated[
        str | None, typer.Option(metavar="URL", help="The Spark master, as spark://host:7077 (see docs/spark.md).")
    ] = None,
) -> None:
    """Checks the extracts, gives every Device its verdicts and cause, and publishes a new snapshot.

    Bad rows are left out and counted; a file that cannot be read refuses the whole build (exit 3), and the
    snapshot in use stays as it was.
    """
    parameters = pipeline.Parameters(instant(as_at), grace_days, max_quarantined, quarantine_files, max_missing)
    if (engine == "spark") != (master is not None):
        raise typer.BadParameter("--engine spark and --master URL go together", param_hint="--master")
    place = published(marts)
    with on_spark.engine(master) if master else nullcontext() as chosen, progress_bar() as show:
        extracts = places.extracts_at(str(extracts), place.folder, show)
        before_use = partial(place.publish, progress=show)
        snapshot = pipeline.build(extracts, place.folder, parameters, show, chosen, before_use)
    say(f"Snapshot {snapshot.number} of {snapshot.rows('outcomes'):,} Devices is in use in {place}")
    if keep:
        cli_snapshots.prune_and_tell(place, keep, say)


@app.command()
def serve(
    marts: MartsToChange,
    port: Port = PORT,
    address: Annotated[
        str, typer.Option(help="IP address to listen on; any but loopback asks for access control.")
    ] = LOOPBACK,
    host: Annotated[
        list[str] | None, typer.Option(help="A name by which readers call the dashboard, as through a proxy.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="A proxy before the dashboard speaks TLS to readers.")] = False,
    runs: Annotated[int, typer.Option(min=1, help="How many pages are drawn at once; others wait.")] = Settings.runs,
    sessions: Annotated[
        int, typer.Option(min=1, help="How many readers are connected at once; others are told that it is busy.")
    ] = Settings.sessions,
) -> None:
    """Serves the dashboard until interrupted, on 127.0.0.1 unless told otherwise."""
    hosts = tuple(host or ())
    settings = Settings(port=port, address=address, hosts=hosts, tls=tls, runs=runs, sessions=sessions)
    cli_serve.refuse_strangers(settings)
    place = readable(marts)
    current(place.folder)
    cli_serve.run(place, settings, say)


@app.command()
def export(
    table: Annotated[str, typer.Argument(help=f"One of {', '.join(tables.TABLES)}.")],
    marts: Marts,
    to: Annotated[Path, typer.Option(help="File to write: .parquet, .csv or .xlsx.")],
    by: Annotated[
        str | None,
        typer.Option(help=f"For rates and causes, comma-separated: {', '.join(tables.BY)}."),
    ] = None,
) -> None:
    """Writes a table of the snapshot in use as Parquet, CSV or Excel, by the file's ending."""
    rows = tables.export(current(marts), table, to, tuple(name.strip() for name in by.split(",")) if by else ())
    say(f"{rows:,} rows of {table} are in {to}")


@app.command()
def status(
    marts: Marts,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Tells which snapshot is in use, how fresh it is, and what was read, quarantined and not recognised."""
    report = status_of(current(marts), snapshots(marts))
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        print_status(report)


def status_of(snapshot: Snapshot, kept: list[Snapshot]) -> dict:
    """What `pco status --json` prints: rows are rows of the extract's files; all times are UTC."""
    manifest = snapshot.manifest
    quarantine = snapshot.frame("quarantine").drop("samples")
    return {
        "snapshot": snapshot.number,
        "snapshots": [kept_one.number for kept_one in kept],
        "as_at": manifest["as_at"],
        "grace_days": manifest["grace_days"],
        "built_at": manifest["build_finished_at"],
        "is_demonstration": manifest["is_demonstration"],
        "devices_in_scope": snapshot.rows("outcomes"),
        "extracts": {
            name: {
                "files": len(extract["files"]),
                "rows": extract["rows"],
                "quarantined": extract["quarantined"],
                "extra_columns": extract["extra_columns"],
            }
            for name, extract in manifest["extracts"].items()
        },
        "quarantine": quarantine.to_dicts(),
        "unrecognised": snapshot.frame("unrecognised").to_dicts(),
        "ignored": manifest["ignored_in_extracts"],
        "left_out": manifest.get("left_out", []),
        "warnings": manifest.get("warnings", []),
        "digests_verified": manifest.get("digests_verified"),
    }


def print_status(report: dict) -> None:
    kind = "demonstration estate" if report["is_demonstration"] else "extracts"
    print(f"Snapshot {report['snapshot']} of the {kind}, as at {report['as_at']} UTC, ", end="")
    print(f"built {report['built_at'][:19]} UTC, {report['devices_in_scope']:,} Devices in scope")
    table = Table("extract", "files", "rows", "quarantined")
    for name, extract in report["extracts"].items():
        table.add_row(name, f"{extract['files']:,}", f"{extract['rows']:,}", f"{extract['quarantined']:,}")
    out.print(table)
    broken: Counter[tuple[str, str]] = Counter()
    for row in report["quarantine"]:
        broken[row["extract"], row["rule"]] += row["rows"]
    for (extract, rule), rows in sorted(broken.items()):
        print(f"quarantined: {rows:,} rows of {extract} break {rule}")
    for row in report["unrecognised"]:
        print(f"unrecognised: {row['extract']}.{row['column']} {row['value']!r} in {row['rows']:,} rows")
    for name in report["ignored"]:
        print(f"ignored: {name}")
    for line in missing_data.status_lines(report):
        print(line)


class Failure(Exception):
    """Something outside the input and the usage went wrong."""


def instant(text: str | None) -> datetime | None:
    """An ISO 8601 time as naive UTC; one with a zone is converted."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"{text!r} is no ISO 8601 time", param_hint="--as-at") from error


cli_report.register(app, progress_bar, say)
cli_check.register(app, say)
cli_quarantine.register(app, progress_bar, say)
cli_ingest.register(app, progress_bar, say)
cli_snapshots.register(app, say)
cli_certificates.register(app, progress_bar, say)


def main() -> None:
    """Runs `pco`; errors go to stderr, one line a problem."""
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as error:
        format_message = getattr(error, "format_message", error.__str__)
        complain([format_message()])
        sys.exit(WRONG_USAGE)
    except (tables.WrongTable, CannotExport) as error:
        complain([str(error)])
        sys.exit(WRONG_USAGE)
    except InputRefused as error:
        complain(error.problems)
        sys.exit(REFUSED)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(FAILED)
    except (NoSnapshot, BuildUnderWay, Failure, OSError, RuntimeError) as error:
        complain([str(error)])
        sys.exit(FAILED)
    except Exception as error:
        complain([f"{type(error).__name__}: {error}"])
        sys.exit(FAILED)
    # Typer makes 130 of an interrupt.
    sys.exit(FAILED if code else DONE)


def complain(problems: list[str]) -> None:
    for problem in filter(None, problems):
        print("pco: " + " ".join(problem.split()), file=sys.stderr)


if __name__ == "__main__":
    main()
