"""The demonstration estate: synthetic extracts whose failures come from mechanisms, and the truth that was planted."""

from data.estate.generate import MARKER, EstateSummary, generate

__all__ = ["MARKER", "EstateSummary", "generate"]
