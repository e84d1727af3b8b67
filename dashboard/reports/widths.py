"""How wide each column of a printed table is to be: no word is broken while there is room, long texts get the rest."""

from collections.abc import Sequence

# In letters: the space beside a text in its cell, and the width that a long text is given at most before it wraps.
BESIDE, LONGEST = 3, 60


def widths(heads: Sequence[str], rows: Sequence[Sequence[str]], letters: int) -> list[float]:
    """The share of each column of a line into which so many letters go; together 1 at most."""
    columns = [[head, *(row[place] for row in rows)] for place, head in enumerate(heads)]
    needed = [BESIDE + max((len(word) for text in column for word in text.split()), default=1) for column in columns]
    wanted = [
        # The head may wrap.
        max(need, BESIDE + min(LONGEST, max((len(row[place]) for row in rows), default=1)))
        for place, need in enumerate(needed)
    ]
    room, more = letters - sum(needed), sum(wanted) - sum(needed)
    part = min(1, max(0, room) / more) if more else 0
    given = [need + part * (want - need) for need, want in zip(needed, wanted, strict=True)]
    return [width / max(letters, sum(given)) for width in given]
