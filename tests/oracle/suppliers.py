"""Section 3: the supplier registered at an instant, and changes of supplier."""


def by_start(spell):
    return spell["effective_from"], spell["supplier_id"]


def supplier_on(day, evidence):
    """The row in force on that day (latest start, then greatest id); failing any, the responsible one."""
    in_force = [spell for spell in evidence.spells if is_in_force(spell, day)]
    if not in_force:
        return evidence.device["responsible_supplier_id"]
    return max(in_force, key=by_start)["supplier_id"]


def is_in_force(spell, day):
    """Half-open: from inclusive, to exclusive."""
    ends = spell["effective_to"]
    return spell["effective_from"] <= day and (ends is None or day < ends)


def supplier_at_commissioning(evidence):
    return supplier_on(evidence.device["commissioned_at"].date(), evidence)


def supplier_at_as_at(evidence):
    return supplier_on(evidence.as_at.date(), evidence)


def is_after_commissioning(spell, evidence):
    """Starts after the day of commissioning, and not after `as_at`."""
    day = evidence.device["commissioned_at"].date()
    return day < spell["effective_from"] <= evidence.as_at.date()


def changed_supplier_at(evidence):
    """The earliest later start with another supplier than at commissioning; null if that is null."""
    first = supplier_at_commissioning(evidence)
    starts = [
        spell["effective_from"]
        for spell in evidence.spells
        if is_after_commissioning(spell, evidence) and spell["supplier_id"] != first
    ]
    return None if first is None else min(starts, default=None)


def last_change_of_supplier(evidence):
    """The latest later start of a spell whose supplier differs from the spell before it.

    Before the first spell of all stands `supplier_at_commissioning`; when that is null nothing stands
    there, and the first spell differs from nothing.
    """
    last, before = None, supplier_at_commissioning(evidence)
    for spell in sorted(evidence.spells, key=by_start):
        differs = before is not None and spell["supplier_id"] != before
        if differs and is_after_commissioning(spell, evidence):
            last = spell["effective_from"]
        before = spell["supplier_id"]
    return last
