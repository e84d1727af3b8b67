"""The sections of the reports that name parties or Devices: for the SSC, a DCC User, and a CSP."""

from datetime import date

import polars as pl

from analysis import criteria, hubs, report_incidents, report_lists, views
from analysis import report as contents
from analysis.amendments import AMENDMENTS, under_amendments
from analysis.causes import causes
from analysis.funnel import OUTSIDE_95, OUTSIDE_998, QUANTILES, funnel
from analysis.rates import rates
from analysis.report import NONE, Asked, Figure, Section, Source, Table

NO_BREAK = "\u00a0"
UNKNOWN = "not known"
NO_SET = "No amendment was chosen: the amended set is the criteria in force."
FIGURES = {
    "judged_by": pl.String,
    "due": pl.Int64,
    "failures": pl.Int64,
    "failure_rate": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "over_reported": pl.Int64,
    "missed_failures": pl.Int64,
}
TREND = (
    "commissioned_month",
    "due",
    "reported_failures",
    "reported_failure_rate",
    "verified",
    "not_secure",
    "actual_failure_rate",
    "actual_low",
    "actual_high",
    "device_keys_read_share",
    "over_reported",
    "missed_failures",
)
FUNNEL = (
    "due",
    "reported_failures",
    "reported_failure_rate",
    "actual_failure_rate",
    "actual_low",
    "actual_high",
    "device_keys_read_share",
    "over_reported",
    "missed_failures",
)
RATES_HOW = (
    "Reported failure rate: Devices reported failed of those due. Actual failure rate: estimated from the Devices "
    "whose certificates could be judged (verified), post-stratified over reported passed and failed, with its "
    "95\u00a0% interval."
)


def percent(share: float | None, decimals: int = 1) -> str:
    """A share as a percentage; an unknown one is never 0 %."""
    return UNKNOWN if share is None else f"{share:.{decimals}%}".replace("%", f"{NO_BREAK}%")


def actual(rate: float | None) -> str:
    return "how many are not secure is not known" if rate is None else f"{percent(rate)} are not secure"


def devices(number: int) -> str:
    return f"{number:,} Device{'' if number == 1 else 's'}"


def sections(asked: Asked, given: Source) -> tuple[Section, ...]:
    """All sections of a report, in order."""
    if asked.audience in contents.AGGREGATED:
        from analysis import report_aggregated

        return report_aggregated.sections(asked, given)
    counts = scoped(asked, given)
    month = counts.filter(pl.col("commissioned_month") == asked.month)
    own = {contents.SSC: _for_ssc, contents.DCC_USER: _for_user, contents.CSP: _for_csp}[asked.audience]
    return (
        standing(asked, month, counts),
        trend(asked, counts),
        of_causes(asked, month),
        *own(asked, given, month, counts),
        how_to_read(asked),
    )


def scoped(asked: Asked, given: Source) -> pl.DataFrame:
    """The counts of the Devices that the report speaks of, commissioned up to the end of its month."""
    return given.counts.filter(pl.col("commissioned_month") <= asked.month, *conditions(asked))


def conditions(asked: Asked) -> list[pl.Expr]:
    """What a Device of the report keeps, besides its month of commissioning."""
    kept = []
    if asked.party:
        kept.append((pl.col("supplier") == asked.party) | (pl.col("network_operator") == asked.party))
    if asked.region:
        kept.append(pl.col("csp_region") == asked.region)
    if asked.audience == contents.CSP:
        kept.append(pl.col("device_type") == hubs.CHF)
    return kept


# --- how things stand ----------------------------------------------------------------------------------------


def standing(asked: Asked, month: pl.DataFrame, counts: pl.DataFrame) -> Section:
    """The criteria in force, the certificates and the amended set side by side: for the month, and all up to it."""
    periods = ((contents.month_name(asked.month), month), (f"All up to {contents.month_name(asked.month)}", counts))
    frame = pl.concat(figures_of(period, rows, asked) for period, rows in periods)
    overall, earlier = rates(month).row(0, named=True), rates(counts).row(0, named=True)
    title = "Failures under the criteria in force, by the certificates, and as amended"
    return Section(
        "How things stand",
        (headline(asked, overall), *standing_sentences(overall, earlier), amended_sentence(asked, month, overall)),
        (Table("figures", title, frame, RATES_HOW, NONE),),
    )


def figures_of(period: str, counts: pl.DataFrame, asked: Asked) -> pl.DataFrame:
    """Three rows: judged_by, Devices due, failures (by the certificates: those found), their rate, and the errors."""
    now = rates(counts).row(0, named=True)
    then = under_amendments(counts, asked.accepted, asked.evidence)
    due = now["due"]
    amended_rate = then["reported_failures"] / due if due else None
    now_errors, then_errors = ((row["over_reported"], row["missed_failures"]) for row in (now, then))
    actual = (now["actual_failure_rate"], now["actual_low"], now["actual_high"])
    rows = [
        ("Criteria in force", due, now["reported_failures"], now["reported_failure_rate"], None, None, *now_errors),
        ("Certificates", due, now["not_secure"], *actual, None, None),
        (set_name(asked), due, then["reported_failures"], amended_rate, None, None, *then_errors),
    ]
    return pl.DataFrame(rows, FIGURES, orient="row").select(pl.lit(period).alias("period"), pl.all())


def set_name(asked: Asked) -> str:
    """The amended set in a few words."""
    if not asked.accepted:
        return "Amended: no amendment"
    if len(asked.accepted) == len(AMENDMENTS):
        named = "all four amendments"
    else:
        named = " and ".join(criteria.amendment_label(name) for name in AMENDMENTS if name in asked.accepted)
    return f"Amended: {named}, {'with' if asked.evidence else 'without'} certificate evidence"


def headline(asked: Asked, overall: dict) -> str:
    month = contents.month_name(asked.month)
    if not overall["due"]:
        return f"Of the Devices commissioned in {month} none is due yet, or there is none."
    return (
        f"Of {devices(overall['due'])} commissioned in {month} and due, {percent(overall['reported_failure_rate'])} "
        f"were reported failed; by the certificates on the Devices {actual(overall['actual_failure_rate'])}."
    )


def standing_sentences(overall: dict, earlier: dict) -> tuple[str, ...]:
    if not overall["due"]:
        return ()
    said = [
        f"{devices(overall['verified'])} ({percent(overall['verified_share'])} of those due) could be judged by their "
        f"certificates: {overall['not_secure']:,} of them are not secure, {overall['missed_failures']:,} of these were "
        f"reported passed. {overall['over_reported']:,} reported failed are secure: over-reported.",
        f"The own keys of {devices(overall['device_keys_read'])} ({percent(overall['device_keys_read_share'])}) were "
        "read; right Trust Anchor Cells do not prove that a Device's own keys were replaced.",
    ]
    if overall["actual_low"] is not None:
        low, high = percent(overall["actual_low"], 2), percent(overall["actual_high"], 2)
        said[0] += f" The actual rate lies between {low} and {high} (95{NO_BREAK}% interval)."
    if earlier["due"] > overall["due"]:
        said.append(
            f"Of all {devices(earlier['due'])} commissioned up to then and due, "
            f"{percent(earlier['reported_failure_rate'])} were reported failed; by the certificates "
            f"{actual(earlier['actual_failure_rate'])}."
        )
    return tuple(said)


def amended_sentence(asked: Asked, month: pl.DataFrame, overall: dict) -> str:
    if not asked.accepted:
        return NO_SET
    then = under_amendments(month, asked.accepted, asked.evidence)
    hidden = then["missed_failures"] - overall["missed_failures"]
    return (
        f"{set_name(asked)}: {overall['reported_failures']:,} reported failures of the month become "
        f"{then['reported_failures']:,}, over-reported {overall['over_reported']:,} become {then['over_reported']:,}, "
        f"and {hidden:,} failures that are reported now would be missed."
    )


# --- trend and causes ----------------------------------------------------------------------------------------


def trend(asked: Asked, counts: pl.DataFrame) -> Section:
    """Rates of the month and the twelve before it."""
    frame = views.by_month(counts.filter(pl.col("commissioned_month") >= first_of_trend(asked.month)))
    title = "Reported and actual failure rate by month of commissioning"
    figures = (Figure("trend", "rates_by_month", title, frame),) if frame.height > 1 else ()
    return Section("Trend", trend_sentences(frame), (Table("trend", title, frame.select(TREND), RATES_HOW),), figures)


def first_of_trend(month: str) -> str:
    day = date.fromisoformat(f"{month}-01")
    place = day.year * 12 + day.month - 1 - contents.MONTHS_BEFORE
    return f"{place // 12:04d}-{place % 12 + 1:02d}"


def trend_sentences(frame: pl.DataFrame) -> tuple[str, ...]:
    known = frame.filter(pl.col("reported_failure_rate").is_not_null())
    if known.height < 2:
        return ("There are too few months with Devices due for a trend.",)
    first, last = known.row(0, named=True), known.row(-1, named=True)
    ends = (first["actual_failure_rate"], last["actual_failure_rate"])
    said = (
        f"From {contents.month_name(first['commissioned_month'])} to {contents.month_name(last['commissioned_month'])} "
        f"the reported failure rate went from {percent(first['reported_failure_rate'])} to "
        f"{percent(last['reported_failure_rate'])}"
    )
    return (f"{said}." if None in ends else f"{said}, the actual one from {percent(ends[0])} to {percent(ends[1])}.",)


def of_causes(asked: Asked, month: pl.DataFrame) -> Section:
    frame = views.cause_table(month)
    table = Table("causes", "Reported failures of the month by cause", causes_first(frame), causes_how())
    if not frame["reported_failures"].sum():
        return Section("Causes", ("No Device commissioned in the month was reported failed.",), (table,))
    figure = Figure("causes", "cause_bars", "Reported failures of the month by cause and by the certificates", frame)
    return Section("Causes", cause_sentences(frame), (table,), (figure,))


def causes_first(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select("label", pl.exclude("label", "cause"))


def causes_how() -> str:
    return (
        "Every reported failure has one cause: the first of these that holds for it, or it is unexplained when some "
        "check not met has none."
    )


def cause_sentences(frame: pl.DataFrame) -> tuple[str, ...]:
    """The most frequent cause, what it is, and what would resolve it."""
    most = frame.filter(pl.col("reported_failures").is_not_null()).sort(
        "reported_failures", descending=True, maintain_order=True
    )
    if most.is_empty() or not most["reported_failures"][0]:
        return ()
    row = most.row(0, named=True)
    said = f"Most frequent is {row['label']}: {devices(row['reported_failures'])}"
    over = row["over_reported"]
    said += "." if over is None else f", of which {over:,} are secure by their certificates."
    described = {cause.name: cause for cause in causes()}.get(row["cause"])
    return (said,) if described is None else (said, described.says, f"What would resolve it: {described.resolves}")


# --- for each audience ---------------------------------------------------------------------------------------


def _for_ssc(asked: Asked, given: Source, month: pl.DataFrame, counts: pl.DataFrame) -> tuple[Section, ...]:
    return (
        _funnel_section("Suppliers", "supplier_at_commissioning", month, given),
        _funnel_section("Network operators", "network_operator", month, given),
        _ssc_to_act_on(month, given),
    )


def _standings(month: pl.DataFrame, role: str, given: Source) -> pl.DataFrame:
    table = views.by_party(month.filter(pl.col(role).is_not_null()), role, given.names)
    return funnel(table).sort("reported_failure_rate", "due", "name", descending=[True, True, False])


def _funnel_section(title: str, role: str, month: pl.DataFrame, given: Source) -> Section:
    frame = _standings(month, role, given)
    how = (
        "Limits: exact binomial quantiles around the rate of all together. They allow for chance alone: parties differ "
        "in their Devices, regions and years as well, so standing outside accuses none."
    )
    caption = f"{title}: reported failure rate against what chance allows" + (
        " (Supplier at commissioning)" if role == "supplier_at_commissioning" else ""
    )
    ids = pl.col(role).alias("party_id")
    if frame.is_empty():
        return Section(title, ("No Device of the month that is due has a recorded party.",))
    standing_of = frame["standing"]
    outside = (standing_of != "inside").sum()
    said = (
        f"Of all together {percent(frame['overall_rate'][0])} were reported failed. "
        f"{outside} of {frame.height} parties stand outside the 95{NO_BREAK}% limits, "
        f"{(standing_of == OUTSIDE_998).sum()} of them outside the 99.8{NO_BREAK}% limits."
    )
    shown = frame.select(ids, "name", "standing", *FUNNEL, *QUANTILES)
    name = f"funnel_{role}"
    return Section(title, (said,), (Table(name, caption, shown, how),), (Figure(name, "funnel", caption, frame),))


def _ssc_to_act_on(month: pl.DataFrame, given: Source) -> Section:
    frame = _standings(month, "supplier_at_commissioning", given)
    said = ["Missed failures come first: these Devices are reported passed and their certificates say no."]
    if not frame.is_empty():
        above = frame.filter(
            pl.col("standing").is_in([OUTSIDE_95, OUTSIDE_998])
            & (pl.col("reported_failure_rate") > pl.col("overall_rate"))
        )
        named = ", ".join(above["name"].head(10)) or "none"
        said.append(
            f"Suppliers reported above the limits: {named}. Ask first whether their failures are over-reported."
        )
    missed = views.by_party(month, "supplier_at_commissioning", given.names).filter(pl.col("missed_failures") > 0)
    missed = missed.sort("missed_failures", "name", descending=[True, False])
    shown = missed.select("name", "due", "verified", "not_secure", "missed_failures")
    table = Table("missed_by_supplier", "Missed failures by Supplier at commissioning", shown)
    return Section("What to act on", tuple(said), (table,))


def _for_user(asked: Asked, given: Source, month: pl.DataFrame, counts: pl.DataFrame) -> tuple[Section, ...]:
    to_mend, over = report_lists.of_user(asked, given)
    confirmed = to_mend.filter(pl.col("finding") == "confirmed_failure").height
    by_verdict = counts.group_by("finding").agg(pl.col("devices").sum())
    unverified = dict(by_verdict.rows()).get("unverified_failure", 0)
    mend = Section(
        "To be mended",
        (
            f"{devices(to_mend.height)} commissioned up to the end of the month are not secure by their certificates: "
            f"{confirmed:,} reported failed (confirmed failures, listed first) and {to_mend.height - confirmed:,} "
            "reported passed (missed failures). Those commissioned longest ago come first.",
            f"{devices(unverified)} reported failed could not be judged: read their certificates (SRV 6.24.1) before "
            "anyone investigates them.",
            *report_lists.cut(to_mend),
        ),
        (Table("to_mend", "Devices found not secure", to_mend, missing=NONE),),
    )
    apart = Section(
        "Over-reported: nothing to mend",
        (
            f"{devices(over.height)} commissioned up to the end of the month are reported failed and secure by their "
            "certificates. The reason is why the criteria in force count them as failed.",
            *report_lists.cut(over),
        ),
        (Table("over_reported", "Devices reported failed that are secure, with the reason", over, missing=NONE),),
    )
    return mend, apart


def _for_csp(asked: Asked, given: Source, month: pl.DataFrame, counts: pl.DataFrame) -> tuple[Section, ...]:
    to_mend = report_lists.of_csp(asked, given)
    return (
        report_incidents.section(asked, given, counts),
        Section(
            "What to act on",
            (
                f"{devices(to_mend.height)} (CHFs) commissioned up to the end of the month are not secure by their "
                "certificates, confirmed failures first.",
                *report_lists.cut(to_mend),
            ),
            (Table("to_mend", "CHFs found not secure", to_mend, missing=NONE),),
        ),
    )


def how_to_read(asked: Asked) -> Section:
    """What the words mean, and what the report cannot say."""
    said = [
        "The month is that of commissioning. Everything is as the snapshot knows it, not as it stood at the end of the "
        "month: a Device put right since counts as put right.",
        "Reported: under the criteria of SEC Appendix AC section 5. Secure, not secure: by the Trust Anchor Cells and "
        "own keys read from the Device. Over-reported: reported failed, yet secure. Missed: reported passed, yet not "
        "secure.",
        "Amended criteria are a what-if: a Device reported failed passes when every check it has not met has a cause "
        "that is accepted" + (", and its certificates are right." if asked.evidence else "."),
    ]
    if asked.audience == contents.DCC_USER:
        said.append(
            "A Device is in this report when its present Supplier or its network operator is the party; others are "
            "not, even if the party commissioned them."
        )
    return Section("How to read this", tuple(said))
