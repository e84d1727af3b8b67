"""Named scenarios of the business case: saved, compared side by side, kept in the address, and in a file."""

import streamlit as st

from analysis.assumptions import (
    MOST_NAME,
    Assumptions,
    WrongAssumptions,
    packed,
    read_scenarios,
    unpacked,
    write_scenarios,
)
from analysis.business_case import Case
from dashboard import audit, cards, case_inputs, words_business_case

SAVED, READ, REFUSED = "case_scenarios", "case_file_read", "case_scenarios_refused"
PAGE = "As on this page"
ADDRESS = "scenarios"
# Characters of the address that scenarios may take (servers and mail programs cut long ones), and how many fit on a
# page side by side.
MOST_CHARACTERS, MOST = 3000, 20


def saved() -> dict[str, Assumptions]:
    """Name -> assumptions, first those of the address; kept while the reader's browser tab is open."""
    if SAVED not in st.session_state:
        st.session_state[SAVED] = {}
        if text := st.query_params.get(ADDRESS):
            try:
                st.session_state[SAVED] = dict(list(unpacked(text).items())[:MOST])
            except WrongAssumptions as error:
                st.session_state[REFUSED] = error.problems
    return st.session_state[SAVED]


def keep_in_address() -> bool:
    """Whether the scenarios are short enough to be kept in the address of the page; there they are then."""
    text = packed(saved()) if saved() else ""
    if text and len(text) <= MOST_CHARACTERS:
        st.query_params[ADDRESS] = text
    else:
        st.query_params.pop(ADDRESS, None)
    return len(text) <= MOST_CHARACTERS


def upload() -> None:
    """Takes scenarios from a file; a file that makes no sense is refused by name and changes nothing."""
    file = st.file_uploader(
        "Scenarios from a file (CSV)",
        type="csv",
        key="case_file",
        max_upload_size=1,
        help="A row a driver: driver, low, central, high, and if you like scenario and source. A driver that is not "
        "named keeps its default. Download the scenarios below to see one.",
    )
    if file is None or st.session_state.get(READ) == file.file_id:
        return
    try:
        found = read_scenarios(file.getvalue().decode("utf-8"))
    except UnicodeDecodeError:
        _refused(file.name, ["the file is no text (UTF-8)"])
    except WrongAssumptions as error:
        _refused(file.name, error.problems)
    else:
        if len(saved() | found) > MOST:
            _refused(file.name, [f"with it there would be {len(saved() | found)} scenarios; at most {MOST} are kept"])
            return
        st.session_state[READ] = file.file_id
        saved().update(found)


def _refused(name: str, problems: list[str]) -> None:
    st.error(_said(f"{name} was not read; nothing was changed.", problems), icon=":material/error:")


def _said(what: str, problems: list[str]) -> str:
    lines = "\n".join(f"* {problem}" for problem in problems)
    return f"{what}\n\n{lines}"


def _heading(scenario: str, taken: dict) -> str:
    """A column of its own, whatever the scenario is called."""
    while scenario in taken or scenario == words_business_case.FIGURE:
        scenario += " (saved)"
    return scenario


def section(view: cards.View, case: Case) -> None:
    """Everything about scenarios; `case` is that of the page."""
    st.header("Scenarios", anchor="scenarios")
    st.markdown(
        "A scenario is a whole set of assumptions under a name; one of the same name is replaced. The address of this "
        "page holds the assumptions in the boxes, and the scenarios while they are short: a bookmark of it keeps them, "
        "and a reload too. The file keeps them all."
    )
    if not saved() and (lost := st.session_state.get(REFUSED)):
        st.error(_said("The scenarios in the address were not read.", lost), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name of the scenario", key="case_name", max_chars=MOST_NAME, width=320).strip()
        is_full = len(saved()) >= MOST and name not in saved()
        st.button(
            "Save the assumptions above",
            on_click=_save,
            args=(name, case.assumptions),
            disabled=not name or is_full,
            help=f"At most {MOST} scenarios are kept." if is_full else None,
        )
    upload()
    if not keep_in_address():
        st.warning(
            "These scenarios are too long for the address of the page: a reload loses them. **Download the file below "
            "to keep them.**",
            icon=":material/save:",
        )
    if not saved():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Scenario", list(saved()), key="case_chosen", width=320)
        st.button("Put it into the boxes", on_click=case_inputs.load, args=(saved()[chosen],))
        st.button("Remove it", on_click=saved().pop, args=(chosen,))
    cases = {PAGE: case}
    for scenario, assumptions in saved().items():
        cases[_heading(scenario, cases)] = case.under(assumptions)
    table = words_business_case.compared(cases)
    with st.container(border=True):
        st.subheader(f"Side by side, {words_business_case.FROM}", anchor="case-scenarios")
        st.dataframe(table, hide_index=True, height="content")
        cards.downloads(view, "business-case-scenarios", table, "Scenarios side by side")
        kept, file = dict(saved()), view.file_name("scenarios", "csv")
        st.download_button(
            "Scenarios as a file (CSV)",
            audit.logged(lambda: (write_scenarios(kept).encode(), len(kept)), view.snapshot, file, view.in_words),
            file_name=file,
            mime="text/csv",
            key="case_download",
            on_click="ignore",
        )
        st.caption(f"{words_business_case.set_in_words(case)}, the same Devices in each column. {view.made()}")


def _save(name: str, assumptions: Assumptions) -> None:
    saved()[name] = assumptions
