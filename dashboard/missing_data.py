"""What a snapshot was built without, said on every page; and what is odd about the set of its files."""

import polars as pl

MOST_NAMED = 5


def banner(manifest: dict) -> str | None:
    """The sentence for every page of a snapshot that was built without some files; None if it has them all.

    manifest: its `left_out` is a list of [name, reason].
    """
    left_out = manifest.get("left_out") or []
    if not left_out:
        return None
    files = f"{len(left_out):,} {'file was' if len(left_out) == 1 else 'files were'}"
    named = "; ".join(f"{_literal(name)} ({_literal(reason)})" for name, reason in left_out[:MOST_NAMED])
    more = f"; and {len(left_out) - MOST_NAMED:,} more" if len(left_out) > MOST_NAMED else ""
    return (
        f"**Data is missing from every number here.** {files} left out of this snapshot: {named}{more}. "
        "What they hold is unknown, so counts may be too low and rates wrong in either direction."
    )


def show(manifest: dict) -> None:
    """Puts the banner at the top of a page, if there is one to put."""
    # The command line says the same, and should not wait for streamlit.
    import streamlit as st

    said = banner(manifest)
    if said:
        st.warning(said)


def status_lines(manifest: dict) -> list[str]:
    """The same for `pco status`, with the warnings, one line each."""
    left_out = [f"left out: {name}: {reason}" for name, reason in manifest.get("left_out") or []]
    warned = [
        f"warning: {warned['extract']}: {warned['sentence']} ({warned['kind']})"
        for warned in manifest.get("warnings") or []
    ]
    return [*left_out, *warned, f"digests: {digests_sentence(manifest)}"]


def warnings_table(manifest: dict) -> pl.DataFrame:
    """One row per oddity of the set of files: kind, extract, where, and the sentence that says it."""
    schema = {"kind": pl.String, "extract": pl.String, "where": pl.String, "what": pl.String}
    rows = [tuple(warned[name] for name in ("kind", "extract", "where", "sentence")) for warned in _warned(manifest)]
    return pl.DataFrame(rows, schema, orient="row")


def _warned(manifest: dict) -> list[dict]:
    return manifest.get("warnings") or []


def digests_sentence(manifest: dict) -> str:
    """Whether the sender's digests were there and right, for the Data and method page and `pco status`."""
    verified = manifest.get("digests_verified")
    if verified is None:
        return "it was not recorded whether the sender's digests were there."
    if verified:
        return "every extract file is, byte by byte, the one of the sender's SHA256SUMS."
    return "no SHA256SUMS came with the extracts, so a file that was damaged on its way may have passed."


def _literal(text: str) -> str:
    """The text as it is: what Markdown would take for more is escaped."""
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>()#+-!|~$:" else c for c in text)
