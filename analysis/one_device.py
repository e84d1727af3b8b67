"""One Device's rows as a party may see them: other parties are not named, nor their certificates told apart."""

from dataclasses import replace

import polars as pl

from analysis.scopes import ANOTHER, parties_of, unnamed
from analysis.selection import PARTY_ROLES
from data.history import History
from data.reduction import duis_form

NOT_TOLD = "not told"


class UnknownDevice(Exception):
    """For this reader there is no such Device."""


def as_party_sees(found: History, party: str) -> History:
    """The history of a Device that is the party's own, in the words of its scope."""
    parties = parties_of(found.parties, party)
    own_and_dcc = set(parties["eui"]) | {duis_form(found.key)}
    others = set(found.parties["eui"]) - own_and_dcc
    outcome = found.outcome and found.outcome | {
        role: found.outcome[role] if found.outcome[role] in (None, party) else ANOTHER for role in PARTY_ROLES
    }
    evidence = found.evidence
    if evidence is not None:
        columns = [name for name in (*PARTY_ROLES, *OF_THE_INVENTORY) if name in evidence.devices.columns]
        evidence = replace(evidence, devices=evidence.devices.with_columns(unnamed(party, *columns)))
    subject = pl.col("subject_unique_id")
    is_foreign = subject.is_not_null() & ~subject.is_in(list(own_and_dcc))
    reads = found.cell_reads.with_columns(
        # An EUI-64 of no known party stays one: that it is nobody's is what its verdict says.
        subject_unique_id=pl.when(~is_foreign)
        .then(subject)
        .when(subject.is_in(list(others)))
        .then(pl.lit(ANOTHER))
        .otherwise(pl.lit(NOT_TOLD)),
        key_identifier=pl.when(~is_foreign).then("key_identifier"),
    )
    return replace(
        found,
        outcome=outcome,
        evidence=evidence,
        cell_reads=reads,
        spells=found.spells.with_columns(unnamed(party, "supplier_id")),
        parties=parties,
    )


OF_THE_INVENTORY = ("responsible_supplier_id", "network_operator_id")
