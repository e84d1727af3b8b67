"""How many times a test of chance is tried: a few each time, many when PCO_THOROUGH=1 (`make test-thorough`)."""

import os


def times(quick: int, thorough: int) -> int:
    return thorough if os.environ.get("PCO_THOROUGH") == "1" else quick
