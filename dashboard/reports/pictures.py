"""The pictures of reports: plotly's figures as PNG, drawn in one batch by an installed Chromium.

Nothing leaves the machine: plotly.js is the one that plotly brings, MathJax is off, and whatever the browser might ask
for by itself goes to a proxy that is not there.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import plotly
import plotly.graph_objects as go
import polars as pl

from analysis.report import Figure
from dashboard import charts, charts_hubs, charts_parties, charts_reports, chromium, words_reports

PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
NOWHERE = "127.0.0.1:9"
# In pixels of the page; drawn twice as fine. Heights are the charts' own.
WIDTH, SCALE = 900, 2
TOLERANCE = 0.03
TABS = 2
Done = Callable[[int, int], None]

KINDS: dict[str, Callable[[pl.DataFrame], go.Figure]] = {
    "rates_by_month": lambda frame: charts.rates_by_month(frame, TOLERANCE),
    "cause_bars": charts.cause_bars,
    "reported_by_cause": charts_reports.reported_by_cause,
    "funnel": charts_parties.funnel,
    "incidents_by_month": charts_hubs.months,
}


def chart(figure: Figure) -> go.Figure:
    """For paper: white, with a font that the machine's Chromium has."""
    drawn = KINDS[figure.kind](figure.frame)
    drawn.update_layout(template="plotly_white", font={"family": "DejaVu Sans, sans-serif", "size": 12})
    return drawn


def draw(figures: Iterable[tuple[str, Figure]], done: Done | None = None) -> tuple[dict[str, bytes], str]:
    """Key -> PNG of each figure, and why there is none: empty where all could be drawn."""
    found = list(figures)
    if not found:
        return {}, ""
    browser = chromium.installed()
    if browser is None:
        return {}, words_reports.NO_CHROMIUM
    with TemporaryDirectory(prefix="pco-pictures-") as folder:
        try:
            _batch(found, Path(folder), browser, done)
        except Exception:
            return {}, words_reports.NO_PICTURES
        drawn = {key: Path(folder) / f"{place}.png" for place, (key, _) in enumerate(found)}
        if not all(file.is_file() for file in drawn.values()):
            return {}, words_reports.NO_PICTURES
        return {key: file.read_bytes() for key, file in drawn.items()}, ""


def _batch(found: list[tuple[str, Figure]], folder: Path, browser: str, done: Done | None) -> None:
    # A second to import, which nothing else should wait for.
    import kaleido

    def specified():
        for place, (_, figure) in enumerate(found):
            if done:
                done(place, len(found))
            drawn = chart(figure)
            options = {"format": "png", "width": WIDTH, "height": drawn.layout.height, "scale": SCALE}
            yield {"fig": drawn, "path": folder / f"{place}.png", "opts": options}

    page = kaleido.PageGenerator(plotly=(PLOTLY_JS.as_uri(), "utf-8"), mathjax=False)
    kaleido.write_fig_from_object_sync(
        specified(),
        cancel_on_error=True,
        kopts={"n": min(TABS, len(found)), "page_generator": page, "path": browser, "proxy_server": NOWHERE},
    )
    if done:
        done(len(found), len(found))
