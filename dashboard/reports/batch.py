"""Reports made: one, or all of a month in parallel; every file is written whole, and only when all could be made."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from analysis.report import AGGREGATED, Asked, Report, Source, WrongReport, refuse_wrong, report, source
from dashboard.access_settings import WrongAccess, classification, read_settings
from dashboard.reports import data, docx, html, model, pdf, pictures
from data.marts import Snapshot
from data.scopes import AGGREGATES, PARTY, Scope, scope_in_words

FORMATS = ("html", "pdf", "docx", "xlsx", "parquet")
# The formats that hold pictures.
ILLUSTRATED = {"html", "pdf", "docx"}
Progress = Callable[[str, int, int], None]
PICTURES, DOCUMENTS = "Drawing the pictures", "Making the reports"
_of_worker: dict[str, Source] = {}


def refuse_wrong_formats(formats: Sequence[str]) -> None:
    for name in formats:
        if name not in FORMATS:
            raise WrongReport(f"--format {name}: no such format; there are {', '.join(FORMATS)}")


def make(
    asked: Sequence[Asked],
    snapshot: Snapshot,
    out: Path,
    stamp: datetime,
    formats: Sequence[str] = FORMATS,
    progress: Progress = lambda stage, done, total: None,
) -> list[Path]:
    """Writes the reports into the folder and returns their files; raises `WrongReport` before anything is written.

    Files of the same names are replaced, each in one step; whatever else is in the folder stays.
    """
    refuse_wrong_formats(formats)
    given = source(snapshot)
    for one in asked:
        refuse_wrong(one, given)
    if out.exists() and not out.is_dir():
        raise WrongReport(f"--out {out}: is a file, not a folder")
    classified = classified_as()
    drawn, why_not = _pictures(asked, given, formats, progress)
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".pco-reports-", dir=out) as work:
        tasks = [
            (one, {name: drawn[one, name] for _, name in (key for key in drawn if key[0] == one)}) for one in asked
        ]
        for place, done in enumerate(_written(tasks, given, Path(work), classified, stamp, formats, why_not)):
            progress(DOCUMENTS, place + done, len(asked))
        made = sorted(Path(work).iterdir())
        for file in made:
            file.replace(out / file.name)
    return [out / file.name for file in made]


def _pictures(
    asked: Sequence[Asked], given: Source, formats: Sequence[str], progress: Progress
) -> tuple[dict[tuple[Asked, str], bytes], str]:
    if not ILLUSTRATED & set(formats):
        return {}, ""
    figures = [((one, figure.name), figure) for one in asked for figure in report(one, given).figures()]
    return pictures.draw(figures, lambda done, total: progress(PICTURES, done, total))


def classified_as() -> str:
    """The classification of the access configuration, if there is one; raises `WrongReport` where it cannot be read."""
    file = os.environ.get("PCO_ACCESS")
    try:
        return classification(read_settings(Path(file)) if file else None)
    except WrongAccess as error:
        raise WrongReport(str(error)) from error


def labelled(told: Report, asked: Asked, given: Source, classified: str) -> Report:
    """The report with its classification and scope among the facts, which stand in every format."""
    scope = scope_in_words(given.snapshot)
    if asked.audience in AGGREGATED:
        scope = Scope(AGGREGATES).in_words
    elif asked.party:
        scope = Scope(PARTY, asked.party).in_words
    return replace(told, facts={"Classification": classified, "Scope": scope, **told.facts})


def _written(
    tasks: list, given: Source, work: Path, classified: str, stamp: datetime, formats: Sequence[str], why_not: str
):
    """Writes every report; yields 1 for each that is done."""
    rest = (work, stamp, tuple(formats), why_not)
    if len(tasks) == 1:
        asked, drawn = tasks[0]
        _write(labelled(report(asked, given), asked, given, classified), drawn, *rest)
        yield 1
        return
    workers = min(len(tasks), os.cpu_count() or 1)
    # Spawned, as a fork of a process with threads (polars, plotly) may stand still.
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, (given.snapshot,)) as pool:
        futures = [pool.submit(_work, one, classified, drawn, *rest) for one, drawn in tasks]
        for future in as_completed(futures):
            future.result()
            yield 1


def _start(snapshot: Snapshot) -> None:
    _of_worker["source"] = source(snapshot)


def _work(asked: Asked, classified: str, drawn: dict[str, bytes], *rest) -> None:
    given = _of_worker["source"]
    _write(labelled(report(asked, given), asked, given, classified), drawn, *rest)


def _write(
    told: Report, drawn: dict[str, bytes], folder: Path, stamp: datetime, formats: Iterable[str], why_not: str
) -> None:
    for name, content in files(told, drawn, stamp, formats, why_not).items():
        (folder / name).write_bytes(content)


def files(
    told: Report, drawn: dict[str, bytes], stamp: datetime, formats: Iterable[str], why_not: str = ""
) -> dict[str, bytes]:
    """Name -> bytes of each file of one report."""
    document = model.document(told, drawn, stamp, why_not)
    renderers = {"html": html.render, "pdf": pdf.render, "docx": docx.render}
    made: dict[str, bytes] = {}
    for name in formats:
        if name == "parquet":
            made |= {f"{told.stem}-{table}.parquet": file for table, file in data.parquet(told, document).items()}
        elif name == "xlsx":
            made[f"{told.stem}.xlsx"] = data.xlsx(told, document)
        else:
            made[f"{told.stem}.{name}"] = renderers[name](document)
    return made
