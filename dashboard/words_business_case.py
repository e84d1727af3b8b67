"""The sentences of the business case: on its page, in its workbook and in its document."""

import polars as pl

from analysis.assumptions import Assumptions, driver, drivers, unconfirmed
from analysis.business_case import DRAWS, SEED, Case, cost_per_device
from analysis.case_volumes import Window
from analysis.causes import label_of
from analysis.report import checksum, version
from analysis.selection import Selection
from dashboard.words import DIMENSIONS, count, month, percent
from dashboard.words_criteria import set_name
from data.marts import Snapshot

MINUS = "\u2212"
FROM = "from assumptions to be confirmed"
NO_COST_IS_KNOWN = (
    "**No unit cost is known.** Numbers of Devices come from the snapshot; every pound below comes from assumptions "
    "that are placeholders until somebody confirms them. None of them is a finding."
)
NOTHING_CHOSEN = "No amendment is switched on, so the case below is for **all four** of them."
NO_MONTH = "These filters leave no month of commissioning of which every Device is due, so there is no yearly number."
FIGURE = "Figure"
NEVER = "not within the years"
NO_RATIO = "no ratio"
NO_BREAK_EVEN = "none within its limits"
# Columns of the business case -> what a person reads; pounds are said so.
NAMES = {
    "set": "Set of amendments",
    "letters": "Letters",
    "evidence": "Evidence asked for",
    "payer": "Who pays",
    "party_type": "Type of the present Supplier",
    "device_type": "Device type",
    "cause": "Cause",
    "year": "Year",
    "over_reported_now": "Over-reported a year, in force",
    "over_reported_after": "Over-reported a year, under the set",
    "cost_now": "Cost a year now, £",
    "cost_after": "Cost a year under the set, £",
    "saving": "Saving a year, £",
    "saving_dcc_users": "DCC Users save a year, £",
    "saving_csps": "CSPs save a year, £",
    "saving_dcc": "The DCC saves a year, £",
    "saving_consumers": "Consumers save a year, £",
    "cost_once": "Change, once, £",
    "cost_yearly": "Change, a year, £",
    "cost_of_change": "Cost of the change, £",
    "net": "Net, £",
    "discount_factor": "Discount factor",
    "present_value": "Present value, £",
    "net_so_far": "Net so far, £",
    "present_value_so_far": "Present value so far, £",
    "present_value_of_savings": "Savings, present value, £",
    "present_value_of_cost": "Change, present value, £",
    "net_present_value": "Net present value, £",
    "payback_years": "Payback, years",
    "benefit_cost_ratio": "Benefit-cost ratio",
    "missed_created": "Missed failures created a year",
    "missed_created_all_years": "Missed failures created, all years",
    "unverified_passed": "Pass unverified a year",
    "missed_break_even": "Price of a missed failure that takes it all, £",
    "reported_failures": "Reported failed",
    "over_reported": "Over-reported",
    "still_over_reported": "Still over-reported under the set",
    "label": "Driver",
    "unit": "Unit",
    "low": "Low",
    "central": "Central",
    "high": "High",
    "npv_at_low": "NPV at low, £",
    "npv_at_high": "NPV at high, £",
    "npv_at_central": "NPV at central, £",
    "width": "Swing, £",
    "break_even": "Break-even value",
    "npv_from": "NPV from, £",
    "npv_to": "NPV to, £",
    "draws": "Draws",
    "is_negative": "A loss",
}


def headed(table: pl.DataFrame) -> pl.DataFrame:
    """A frame with the headings of NAMES, for a person."""
    return table.rename({name: NAMES[name] for name in table.columns if name in NAMES})


def pounds(value: float | None, decimals: int = 0) -> str:
    """`£1,234`, with a minus sign in front of a loss, never of nothing."""
    if value is None:
        return "not known"
    text = f"{abs(value):,.{decimals}f}"
    is_nothing = not text.strip("0.,")
    return f"{MINUS if value < 0 and not is_nothing else ''}£{text}"


def unbroken(text: str) -> str:
    """For a heading: no line ends between a minus and its pounds."""
    return text.replace(f"{MINUS}£", f"{MINUS}\u2060£")


def years(value: float | None) -> str:
    if value is None:
        return NEVER
    shown = f"{value:.1f}"
    return f"{shown} year{'' if shown == '1.0' else 's'}"


def ratio(value: float | None) -> str:
    return NO_RATIO if value is None else f"{value:,.1f}"


def number(value: float) -> str:
    """Devices a year: whole, as an annualised number need not be."""
    return f"{value:,.0f}"


def carried(assumptions: Assumptions) -> str:
    """What each pound figure carries."""
    left = unconfirmed(assumptions)
    return FROM if left else "from assumptions with a source each"


def standing(assumptions: Assumptions) -> str:
    return f"{unconfirmed(assumptions)} of {len(drivers())} drivers have no confirmed source."


def period(months: Window) -> str:
    return f"{month(months.first)} to {month(months.last)}" if months.first != months.last else month(months.first)


def volumes(case: Case) -> str:
    """Which months the yearly number is from, and how it is made a year's."""
    months = case.months
    spread = (
        "the last 12 months of which every Device is due"
        if months.months == 12
        else f"{months.months} month{'' if months.months == 1 else 's'}, times 12/{months.months} to make a year"
    )
    return (
        f"Over-reported Devices a year: **{number(case.of.now)}**, of them {number(case.of.now_chf)} CHFs. They were "
        f"commissioned {period(months)}: {spread}. Devices whose certificates were not read are not among them."
    )


def set_in_words(case: Case) -> str:
    return f"{set_name(case.chosen)}, {'with' if case.evidence else 'without'} certificate evidence"


def plain_number(value: float, digits: int = 10) -> str:
    """An input as it was given, or a result of so many digits; never with an exponent."""
    shown = f"{abs(float(f'{value:.{digits}g}')):,.10f}".rstrip("0").rstrip(".")
    return f"{MINUS if value < 0 and shown != '0' else ''}{shown}"


def of_snapshot(about: dict[str, str], snapshot: Snapshot) -> dict[str, str]:
    """The facts with the snapshot's checksum and the version of the program."""
    return about | {"snapshot": f"{snapshot.number}, SHA-256 {checksum(snapshot)}", "version": version()}


def filters(chosen: Selection, names: dict[str, str]) -> str:
    """What the Devices are narrowed to, besides months; names: party id -> name."""
    parts = [" and ".join(chosen.device_types)] if chosen.device_types else []
    if chosen.regions:
        parts.append("region " + " or ".join(chosen.regions))
    if chosen.parties:
        named = " or ".join(names.get(party, party) for party in chosen.parties)
        parts.append(f"{DIMENSIONS[chosen.party_role].lower()} {named}")
    return ", ".join(parts) or "all Devices"


def foot(about: dict[str, str]) -> str:
    """What stands on every page of the document; about: the facts that every file says of itself."""
    names = {"classification": "Classification", "scope": "Scope", "filters": "Devices", "as_at": "As at"}
    names |= {"snapshot": "Snapshot", "version": "Version", "file_made": "File made"}
    return " \u00b7 ".join(f"{name}: {about[key]}" for key, name in names.items() if about.get(key))


def headline(case: Case) -> str:
    found, span = case.summary, f"{case.values['years']:.0f} year{'' if case.values['years'] == 1 else 's'}"
    value = found["net_present_value"]
    what = "gains" if value >= 0 else "loses"
    return f"The change {what} {pounds(abs(value))} over {span}, {carried(case.assumptions)}"


def metrics(case: Case) -> list[tuple[str, str, str]]:
    """Name, number, and what it rests on."""
    found, rests = case.summary, carried(case.assumptions)
    return [
        ("Doing nothing costs, in year 1", pounds(found["cost_now"]), rests),
        ("Under the set, in year 1", pounds(found["cost_after"]), rests),
        ("Net present value", pounds(found["net_present_value"]), rests),
        ("Payback", years(found["payback_years"]), rests),
        ("Benefit-cost ratio", ratio(found["benefit_cost_ratio"]), rests),
        ("Missed failures created a year", number(found["missed_created"]), "from the snapshot"),
    ]


def other_side(case: Case) -> str:
    """What the pounds leave out: failures that would be hidden, and Devices that nobody looked at."""
    found = case.summary
    unverified = (
        f"{number(found['unverified_passed'])} Devices a year would pass without anyone knowing their certificates"
    )
    if not found["missed_created"]:
        hidden = "**The other side:** the set hides no failure that is known"
        return f"{hidden}; {unverified}."
    price = found["missed_break_even"]
    said = (
        f"The gain is used up if a missed failure costs {pounds(price)} or more, {carried(case.assumptions)}."
        if price > 0
        else "There is no gain to set against them."
    )
    return (
        f"**The other side: {number(found['missed_created'])} missed failures created a year**, "
        f"{number(found['missed_created_all_years'])} over all years: Devices that are not secure and would be "
        f"reported passed. What one costs is not known, so they have no price in the figures. {said} "
        f"{unverified[0].upper()}{unverified[1:]}."
    )


def explained(case: Case) -> pl.DataFrame:
    """One row per figure: its value to the penny, how it is made, and the inputs with their values."""
    v, of, found = case.values, case.of, case.summary
    each = cost_per_device(v)
    rest = f"; {carried(case.assumptions)}"

    def inputs(*names: str) -> str:
        return "; ".join(f"{driver(name).label} = {plain_number(v[name])}" for name in names)

    devices = f"over-reported a year {of.now:,.2f} in force, {of.after:,.2f} under the set"
    hubs = f"CHFs {of.now_chf:,.2f} and {of.after_chf:,.2f}"
    change = ["change_once", "change_yearly", *(["evidence_once", "evidence_yearly"] if case.evidence else [])]
    present = (
        f"savings {pounds(found['present_value_of_savings'], 2)}; "
        f"cost of the change {pounds(found['present_value_of_cost'], 2)}"
    )
    simulated = case.simulation
    drawn = f"low, central and high of each uncertain driver; {DRAWS:,} draws, {case.distribution}, seed {SEED}"
    counted = f"Devices commissioned {period(case.months)}, reported failed, certificates right"
    spread = f"counted in {case.months.months} months, times 12 / {case.months.months}"
    rows = [
        (
            "Over-reported Devices a year, in force",
            f"{of.now:,.2f}",
            spread,
            f"{counted}: {case.kinds['over_reported'].sum():,}, of them CHFs {of.now_chf / case.months.to_a_year:,.0f}",
        ),
        (
            "Over-reported Devices a year, under the set",
            f"{of.after:,.2f}",
            spread,
            f"{counted}, and still reported failed under the set: {case.kinds['still_over_reported'].sum():,}, "
            f"of them CHFs {of.after_chf / case.months.to_a_year:,.0f}",
        ),
        (
            "DCC Users' cost per over-reported Device",
            pounds(each["DCC Users"], 2),
            "hours times cost per hour + share visited times cost of a visit",
            inputs("user_hours", "user_rate", "visit_share", "visit_cost"),
        ),
        (
            "CSPs' cost per over-reported Device",
            pounds(each["CSPs"], 2),
            "hours times cost per hour",
            inputs("csp_hours", "csp_rate"),
        ),
        (
            "Consumers' cost per over-reported Device",
            pounds(each["Consumers"], 2),
            "share visited times hours times value of an hour",
            inputs("visit_share", "consumer_hours", "consumer_value"),
        ),
        ("The DCC's cost per over-reported CHF", pounds(each["DCC"], 2), "one Incident a CHF", inputs("incident_cost")),
        (
            "Cost of doing nothing, year 1",
            pounds(found["cost_now"], 2),
            "volume times (Devices times costs of DCC Users, CSPs and consumers + CHFs times cost of an Incident)",
            f"{devices}; {hubs}; {inputs('volume')}",
        ),
        (
            "Cost under the set, year 1",
            pounds(found["cost_after"], 2),
            "the same, of the Devices still over-reported",
            f"{devices}; {hubs}; {inputs('volume')}",
        ),
        (
            "Saving, year 1",
            pounds(found["saving"], 2),
            "cost of doing nothing less cost under the set",
            f"{pounds(found['cost_now'], 2)} and {pounds(found['cost_after'], 2)}",
        ),
        (
            "Savings, present value",
            pounds(found["present_value_of_savings"], 2),
            "sum over years t = 1 to years of saving times (1 + growth)^(t-1) / (1 + discount rate)^t",
            f"saving in year 1 {pounds(found['saving'], 2)}; {inputs('growth', 'years', 'discount_rate')}",
        ),
        (
            "Cost of the change, present value",
            pounds(found["present_value_of_cost"], 2),
            "once + sum over years t of the yearly cost / (1 + discount rate)^t",
            inputs(*change, "years", "discount_rate"),
        ),
        (
            "Net present value",
            pounds(found["net_present_value"], 2),
            "savings less cost of the change, both as present values",
            present,
        ),
        (
            "Payback",
            years(found["payback_years"]),
            "when savings less yearly cost, not discounted, reach the cost once; evenly within a year",
            f"saving in year 1 {pounds(found['saving'], 2)}; {inputs('growth', 'years', *change)}",
        ),
        (
            "Benefit-cost ratio",
            ratio(found["benefit_cost_ratio"]),
            "savings divided by cost of the change, both as present values",
            present,
        ),
        (
            "Missed failures created a year",
            f"{found['missed_created']:,.2f}",
            "volume times Devices not secure that would pass",
            f"{of.missed_created:,.2f} a year in the snapshot; {inputs('volume')}",
        ),
        (
            "Missed failures created, all years",
            f"{found['missed_created_all_years']:,.2f}",
            "sum over years t = 1 to years of those of year 1 times (1 + growth)^(t-1)",
            f"{found['missed_created']:,.2f} in year 1; {inputs('growth', 'years')}",
        ),
        (
            "Price of a missed failure that takes all that is gained",
            "none" if found["missed_break_even"] is None else pounds(found["missed_break_even"], 2),
            "net present value divided by the missed failures of all years, discounted as the savings are",
            f"net present value {pounds(found['net_present_value'], 2)}; missed failures created in year 1 "
            f"{found['missed_created']:,.2f}; {inputs('growth', 'years', 'discount_rate')}",
        ),
        (
            "Devices a year that would pass unverified",
            f"{found['unverified_passed']:,.2f}",
            "volume times Devices not verified that would pass",
            f"{of.unverified_passed:,.2f} a year in the snapshot; {inputs('volume')}",
        ),
        *(
            (f"Net present value, {name}", pounds(value, 2), how, drawn)
            for name, value, how in (
                ("P10", simulated.p10, "one in ten draws of the uncertain drivers gives less"),
                ("P50", simulated.p50, "half of the draws of the uncertain drivers give less"),
                ("P90", simulated.p90, "nine in ten draws of the uncertain drivers give less"),
            )
        ),
        (
            "Chance that the net present value is negative",
            percent(simulated.chance_negative),
            "share of the draws of the uncertain drivers that give less than £0",
            drawn,
        ),
    ]
    named = pl.DataFrame(rows, [FIGURE, "Value", "How it is made", "Inputs"], orient="row")
    return named.with_columns(
        pl.when(pl.any_horizontal(pl.all().str.contains("£"))).then(pl.col("Inputs") + rest).otherwise("Inputs")
    )


# --- titles and captions of the cards --------------------------------------------------------------------------


def payers_title(case: Case) -> str:
    most = case.payers.sort("saving", descending=True).row(0, named=True)
    total = case.summary["saving"]
    if not total > 0:
        return f"Nobody saves: {pounds(total)} in year 1, {carried(case.assumptions)}"
    return (
        f"{most['payer']} save most: {pounds(most['saving'])} of {pounds(total)} in year 1, {carried(case.assumptions)}"
    ).replace("DCC save", "DCC saves")


def payers_how(case: Case) -> str:
    return (
        f"{set_in_words(case)}. Cost in year 1 of Devices reported failed whose certificates are right, by who bears "
        f"it, {carried(case.assumptions)}. DCC Users pay for site visits, the DCC for Incidents; consumers give "
        "their time."
    )


def years_title(case: Case) -> str:
    when = case.summary["payback_years"]
    paid = "is not paid back in these years" if when is None else f"is paid back after {years(when)}"
    return f"The change {paid}, {carried(case.assumptions)}"


def years_how(case: Case) -> str:
    return (
        f"{set_in_words(case)}. Real pounds, {carried(case.assumptions)}. Year 0 holds the cost once; year 1 has the "
        "snapshot's volume, each year after it the growth. Payback is told from the line that is not discounted."
    )


def causes_title(case: Case) -> str:
    return f"The set removes {number(case.of.removed)} of {number(case.of.now)} over-reported Devices a year"


def causes_how(case: Case) -> str:
    spread = "" if case.months.months == 12 else f" The table counts {case.months.months} months; a year is 12 of them."
    return (
        f"{set_in_words(case)}. Devices commissioned {period(case.months)}, reported failed, certificates right; "
        f"each has one cause. By Device type and the present Supplier's type in the table.{spread}"
    )


def named_kinds(kinds: pl.DataFrame) -> pl.DataFrame:
    labels = {cause: label_of(cause) for cause in kinds["cause"].unique()}
    return kinds.with_columns(pl.col("cause").replace_strict(labels, return_dtype=pl.String)) if labels else kinds


def tornado_title(case: Case) -> str:
    table = case.tornado
    if table.is_empty():
        return "No driver moves the net present value"
    first = table.row(0, named=True)
    low, high = sorted([first["npv_at_low"], first["npv_at_high"]])
    return f"{first['label']} swings the result most: NPV {pounds(low)} to {pounds(high)}, {carried(case.assumptions)}"


def tornado_how(case: Case) -> str:
    return (
        f"{set_in_words(case)}. Net present value with one driver at its low, then at its high, the others at central, "
        f"{carried(case.assumptions)}. Break-even: the value of that driver alone at which the NPV is £0; empty where "
        "none lies within its limits."
    )


def simulation_title(case: Case) -> str:
    found = case.simulation
    return (
        f"The NPV is negative in {percent(found.chance_negative)} of {count(DRAWS)} draws; half lie above "
        f"{pounds(found.p50)}, {carried(case.assumptions)}"
    )


def simulation_how(case: Case) -> str:
    found = case.simulation
    return (
        f"{set_in_words(case)}. {count(DRAWS)} draws (seed {SEED}) of every uncertain driver, each by itself from its "
        f"own {case.distribution} distribution of low, central and high; years and discount rate stay at central. "
        f"P10 {pounds(found.p10)}, P50 {pounds(found.p50)}, P90 {pounds(found.p90)}, mean {pounds(found.mean)}, "
        f"{carried(case.assumptions)}."
    )


def sets_title(case: Case) -> str:
    some = case.sets.filter(pl.col("amendments").list.len() > 0)
    best = some.sort("net_present_value", descending=True).row(0, named=True)
    which = f"{set_name(best['amendments'])} {'with' if best['evidence'] else 'without'} evidence"
    value, created = best["net_present_value"], number(best["missed_created"])
    rests = carried(case.assumptions)
    if value < 0:
        return (
            f"No set pays for itself: {which} loses least, {pounds(-value)} ({rests}), with {created} missed failures "
            "created a year"
        )
    return f"{which} gains most, {pounds(value)} ({rests}), with {created} missed failures created a year"


def sets_how(case: Case) -> str:
    return (
        "A point is one of the 16 sets, with or without certificate evidence; further right gains more, further up "
        f"hides more failures. Pounds {carried(case.assumptions)}; missed failures from the snapshot, and they have "
        "no price."
    )


def parties_sentence(case: Case) -> str:
    """What the DCC Users of each type save."""
    if case.party_types.is_empty():
        return ""
    parts = [
        f"{row['party_type']} {pounds(row['saving'])}"
        for row in case.party_types.sort("saving", descending=True).to_dicts()
    ]
    said = ", ".join(parts)
    return f"Of what DCC Users save in year 1, by the present Supplier's type: {said}, {carried(case.assumptions)}."


def compared(cases: dict[str, Case]) -> pl.DataFrame:
    """One row per figure, one column per scenario, in words."""
    shown = {
        "Cost of doing nothing, year 1": lambda case: pounds(case.summary["cost_now"]),
        "Cost under the set, year 1": lambda case: pounds(case.summary["cost_after"]),
        "Net present value": lambda case: pounds(case.summary["net_present_value"]),
        "Payback": lambda case: years(case.summary["payback_years"]),
        "Benefit-cost ratio": lambda case: ratio(case.summary["benefit_cost_ratio"]),
        "NPV, P10": lambda case: pounds(case.simulation.p10),
        "NPV, P50": lambda case: pounds(case.simulation.p50),
        "NPV, P90": lambda case: pounds(case.simulation.p90),
        "Chance that the NPV is negative": lambda case: percent(case.simulation.chance_negative),
        "Missed failures created a year": lambda case: number(case.summary["missed_created"]),
        "Drivers without a confirmed source": lambda case: str(unconfirmed(case.assumptions)),
    }
    columns = {name: [told(case) for told in shown.values()] for name, case in cases.items()}
    return pl.DataFrame({FIGURE: [*shown], **columns})


def inputs_table(assumptions: Assumptions) -> pl.DataFrame:
    """One row per driver, with its key for a file."""
    rows = [
        (d.label, a.low, a.central, a.high, d.unit, d.affects, a.source, d.name)
        for d, a in ((one, assumptions[one.name]) for one in drivers())
    ]
    names = ["Driver", "Low", "Central", "High", "Unit", "Who is affected", "Source", "Key"]
    return pl.DataFrame(rows, names, orient="row")


GLOSSARY = (
    ("Over-reported", "Reported failed, while the certificates read from the Device are right."),
    ("Missed failure", "Reported passed, while the certificates say that the Device is not secure."),
    ("Pass unverified", "Would pass under the set; its certificates were not read, so nobody knows whether it should."),
    ("Set of amendments", "The reasons for an unmet check that changed criteria would accept, together."),
    ("Certificate evidence", "A Device passes only where its certificates are known to be right."),
    (
        "Net present value (NPV)",
        "Savings less costs, each year divided by (1 + discount rate) to the power of the year.",
    ),
    ("Benefit-cost ratio", "Present value of the savings divided by the present value of the cost of the change."),
    ("Payback", "Years until the savings, not discounted, have paid for the change."),
    ("P10, P50, P90", f"One, five and nine in ten of the {DRAWS:,} draws lie below."),
    ("Break-even value", "The value of one driver alone at which the net present value is nothing."),
    ("Real", "Without inflation: the pounds of every year buy the same."),
    (
        "CHF",
        "Communications Hub Function, for which AC 5.13 makes the DCC raise an Incident when it is reported failed.",
    ),
    ("CSP", "Communications Service Provider, whose network the Device is reached by."),
    ("DCC User", "A party that sends Service Requests: here mostly a Supplier."),
)
RISKS = (
    "No unit cost is known: replace each assumption marked 'assumption, to be confirmed' before the case is relied on.",
    "Without certificate evidence an accepted reason also hides Devices that are not secure; they have no price here.",
    "Devices whose certificates were not read are left out of the savings, and may pass without anyone knowing.",
    "The volume is that of recent commissioning; the snapshot cannot say how it will grow or fall.",
    "The simulation draws each driver by itself; drivers that move together would widen the range.",
    "An amendment changes what is reported, not the Devices: a Device that is not secure stays so.",
)


def provenance(case: Case, about: dict[str, str]) -> list[tuple[str, str]]:
    """What a file says of where its figures are from; about: the facts that every file says of itself."""
    names = {"how_made": "How it was made", "as_at": "As at", "file_made": "File made"}
    facts = [(names.get(name, name.capitalize()), text) for name, text in about.items()]
    return [
        *facts,
        ("Set of amendments", set_in_words(case)),
        ("Months of commissioning", f"{period(case.months)} ({case.months.months}), of which every Device is due"),
        ("Pounds", f"Real, {carried(case.assumptions)}. {standing(case.assumptions)}"),
        ("Simulation", f"{DRAWS:,} draws, {case.distribution}, seed {SEED}"),
    ]
