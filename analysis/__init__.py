"""Frames in, frames out: what is reported of each Device, what is so, and why the two differ."""
