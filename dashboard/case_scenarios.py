"""Named scenarios of the business case: saved, compared side by side, downloaded and uploaded as a file."""

import streamlit as st

from analysis.assumptions import MOST_NAME, Assumptions, WrongAssumptions, read_scenarios, write_scenarios
from analysis.business_case import Case
from dashboard import audit, cards, case_inputs, words_business_case

SAVED, READ = "case_scenarios", "case_file_read"
PAGE = "As on this page"


def saved() -> dict[str, Assumptions]:
    """Name -> assumptions; kept while the reader's browser tab is open."""
    return st.session_state.setdefault(SAVED, {})


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
        st.session_state[READ] = file.file_id
        saved().update(found)


def _refused(name: str, problems: list[str]) -> None:
    lines = "\n".join(f"* {problem}" for problem in problems)
    st.error(f"{name} was not read; nothing was changed.\n\n{lines}", icon=":material/error:")


def section(view: cards.View, case: Case) -> None:
    """Everything about scenarios; `case` is that of the page."""
    st.header("Scenarios", anchor="scenarios")
    st.markdown(
        "A scenario is a whole set of assumptions under a name. It is kept until this tab is closed: download the file "
        "to keep it longer. The address of this page holds the assumptions in the boxes, not the scenarios."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name of the scenario", key="case_name", max_chars=MOST_NAME, width=320).strip()
        st.button("Save the assumptions above", on_click=_save, args=(name, case.assumptions), disabled=not name)
    upload()
    if not saved():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox("Scenario", list(saved()), key="case_chosen", width=320)
        st.button("Put it into the boxes", on_click=case_inputs.load, args=(saved()[chosen],))
        st.button("Remove it", on_click=saved().pop, args=(chosen,))
    cases = {PAGE: case} | {name: case.under(assumptions) for name, assumptions in saved().items()}
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
