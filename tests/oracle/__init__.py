"""The contract in plain Python: dicts, loops and datetimes, sharing no code with the pipeline."""

from .amendments import AMENDMENTS, amendments
from .contract import COLUMNS, check, refused
from .evidence import default_as_at
from .outcomes import OUTCOME_COLUMNS, outcomes
from .rates import CAUSES, causes, rates

__all__ = [
    "AMENDMENTS",
    "CAUSES",
    "COLUMNS",
    "OUTCOME_COLUMNS",
    "amendments",
    "causes",
    "check",
    "default_as_at",
    "outcomes",
    "rates",
    "refused",
]
