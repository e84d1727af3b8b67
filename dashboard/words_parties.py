"""What the pages about parties say; a party is never named for what chance may have done."""

import polars as pl

from analysis.devices import MOST_LISTED
from analysis.funnel import INSIDE, OUTSIDE_95, OUTSIDE_998
from analysis.peers import FEWEST_DUE, FEWEST_PEERS
from dashboard.words import DIMENSIONS, NO_BREAK, count, devices, percent

PC = f"{NO_BREAK}%"
FUNNEL_HOW = (
    "The limits are those of chance around the rate of all that the filters leave: exact binomial, 2.5 and "
    f"97.5{PC}, 0.1 and 99.9{PC}; they step, as Devices are whole, and a point on a limit is inside. Names are given "
    f"to the largest outside 99.8{PC} that have room. The limits allow for chance and nothing else: the large have "
    "narrow ones and differ in their Devices, regions and years as well (over-dispersion), so expect more of them "
    "outside, and ask what differs before asking who."
)
MULTIPLES_HOW = (
    "Share of Devices due, on one axis from zero, largest first; the quarter is of commissioning, and the period "
    f"chosen may hold part of one. The band is the 95{PC} interval of the actual rate; it and the lines of quarters "
    f"with fewer than {FEWEST_DUE} Devices due may leave the axis. Where the band is wide, too few Devices could be "
    "judged by their certificates. A gap is a quarter with no Device due, or none verified."
)
PEERS_HOW = (
    f"Peers are all others in the same role with at least {FEWEST_DUE} Devices due in the quarter, under the same "
    "period, types and regions, each counted once whatever its size; no deciles are drawn of fewer than "
    f"{FEWEST_PEERS}. In any quarter one peer in ten is above the highest line, and a quarter of few "
    "Devices due moves by chance alone."
)
ANONYMOUS_PEERS_HOW = (
    f"Peers are all others in the same role with at least {FEWEST_DUE} Devices due in the quarter, over all types and "
    "regions, whatever the filters, told within the disclosure policy: rates of rounded counts, of which those too "
    "small count as none, in whole percent; no line of fewer than ten peers, nor at 0 or 100 percent."
)
MODELS_HOW = "Of this party's Devices only; Devices due in brackets. A model with few of them moves by chance."


def funnel_title(table: pl.DataFrame, dimension: str) -> str:
    """How many stand outside, and around which rate; no names."""
    far = table.filter(pl.col("standing") == OUTSIDE_998).height
    near = table.filter(pl.col("standing") == OUTSIDE_95).height
    failures, due = table["reported_failures"].sum(), table["due"].sum()
    return (
        f"By {DIMENSIONS[dimension]}: {far} of {table.height} {'lies' if far == 1 else 'lie'} outside the 99.8{PC} "
        f"limits of chance, {near} more outside 95{PC}, around {percent(table['overall_rate'][0])} of all together "
        f"({count(failures)} reported failed of {devices(due)} due)"
    )


def multiples_title(parties: pl.DataFrame, table: pl.DataFrame) -> str:
    """How much of the whole the parties shown are, by Devices and by failures; `table` holds all parties."""
    due, all_due = parties["due"].sum(), table["due"].sum()
    failures, all_failures = parties["reported_failures"].sum(), table["reported_failures"].sum()
    return (
        f"Quarter by quarter, the {parties.height} largest of {table.height}: {count(due)} of {devices(all_due)} due, "
        f"{count(failures)} of {count(all_failures)} reported failures"
    )


def party_sentence(row: dict) -> str:
    """How a party stands, written from its row of the funnel."""
    low, high = round(row["low_95"] * row["due"]), round(row["high_95"] * row["due"])
    return (
        f"{count(row['reported_failures'])} of {devices(row['due'])} due were reported failed "
        f"(**{percent(row['reported_failure_rate'])}**). At the rate of all together, "
        f"{percent(row['overall_rate'])}, chance alone gives a party of this size {count(low)} to {count(high)} "
        f"nineteen times of twenty: {_standing(row)}. {_actual(row)}"
    )


def _standing(row: dict) -> str:
    side = "above" if row["reported_failure_rate"] > row["overall_rate"] else "below"
    return {
        INSIDE: "it stands **inside the limits**, no different from the others as far as can be told",
        OUTSIDE_95: f"it stands **{side} the 95{PC} limits**, where chance alone puts one party in twenty at most",
        OUTSIDE_998: f"it stands **{side} the 99.8{PC} limits**, where chance alone puts one party in 500 at most; its "
        "Devices, regions and years may still explain it",
    }[row["standing"]]


def _actual(row: dict) -> str:
    read = f"{count(row['verified'])} of them could be judged by their certificates"
    if row["actual_failure_rate"] is None:
        return f"{read}, too few to say how many truly are not secure."
    return (
        f"{read} and {count(row['not_secure'])} found not secure: an actual rate of "
        f"**{percent(row['actual_failure_rate'])}** (95{PC} interval {percent(row['actual_low'], 2)} to "
        f"{percent(row['actual_high'], 2)})."
    )


def peers_title(name: str, table: pl.DataFrame) -> str:
    """In how many quarters above the median of its peers: half of them is what chance gives."""
    compared = table.drop_nulls(["reported_failure_rate", "decile_5"])
    above = compared.filter(pl.col("reported_failure_rate") > pl.col("decile_5"))
    failures, due = table["reported_failures"].sum(), table["due"].sum()
    if compared.is_empty():
        return f"{name}: {count(failures)} of {devices(due)} due reported failed, with too few peers to compare"
    return (
        f"{name} is above the median of its peers in {above.height} of {compared.height} quarters "
        f"({count(failures)} of {devices(due)} due reported failed)"
    )


def causes_title(table: pl.DataFrame) -> str:
    """The commonest cause of one party's reported failures; `table` is that of `cause_table`."""
    most = table.sort("reported_failures", descending=True).row(0, named=True)
    return (
        f"{most['label']} is the cause of {percent(most['share'])} of its reported failures "
        f"({count(most['reported_failures'])} of {count(table['reported_failures'].sum())})"
    )


def models_title(table: pl.DataFrame) -> str:
    """How many of one party's models are reported above their actual rate."""
    known = table.drop_nulls("actual_high")
    apart = known.filter(pl.col("reported_failure_rate") > pl.col("actual_high")).height
    whose = "" if known.height == table.height else " whose actual rate is known"
    return (
        f"In {apart} of its {known.height} models{whose} the reported rate lies above the whole interval of the "
        f"actual rate ({count(table['reported_failures'].sum())} reported failed of {devices(table['due'].sum())} due)"
    )


def to_act_on_title(found: int, due: int) -> str:
    """How many Devices there are to act on, and how many of them the list holds."""
    only = f"; the first {count(MOST_LISTED)} are listed" if found > MOST_LISTED else ""
    return f"Devices to act on: {count(found)} of {devices(due)} due are not secure by their certificates{only}"


TO_ACT_ON_HOW = (
    "The longest commissioned first. A confirmed failure was reported failed, a missed failure was reported passed; "
    "faults name the cells that are wrong. The files hold all of them; those that could not be judged are in "
    "`pco export outcomes`."
)
