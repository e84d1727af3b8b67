"""One party: how does it stand, and what is behind its reported failures?"""

from dataclasses import replace

import streamlit as st

from analysis import anonymous_peers, peers, views
from analysis.devices import count_to_act_on
from analysis.funnel import funnel
from dashboard import cards, charts, charts_parties, device_list, filters, reading, words_parties

view = st.session_state["view"]
snapshot, role = view.snapshot, view.selection.party_role
names = reading.party_names(snapshot.folder)

st.title("One party")
everyone = reading.selected_counts(snapshot.folder, replace(view.selection, parties=()), role, "commissioned_month")
standings = view.held("standings", lambda: funnel(views.by_party(everyone(), role, names)))
party = filters.one_party(snapshot.folder, view.selection, standings[role])
own_row = standings.filter(standings[role] == party)
if own_row.is_empty():
    cards.nothing_selected()
    st.stop()

name = own_row["name"][0]
only = replace(view.selection, parties=(party,))
view = cards.View(snapshot, only, filters.in_words(only, names))
st.header(name, anchor="standing")
st.markdown(words_parties.party_sentence(own_row.row(0, named=True)))

trend = view.held("beside peers", lambda: peers.beside_peers(peers.by_quarter(everyone(), role), role, party))
how = words_parties.PEERS_HOW
if snapshot.files(anonymous_peers.TABLE):
    trend = anonymous_peers.beside(trend, reading.small_table(snapshot.folder, anonymous_peers.TABLE), role)
    how = words_parties.ANONYMOUS_PEERS_HOW
cards.card(
    view,
    "beside-peers",
    words_parties.peers_title(name, trend),
    lambda: charts_parties.peers(trend, name),
    trend,
    how,
    filter_by=filters.by_quarter(view.held("months of all parties", lambda: everyone()["commissioned_month"].unique())),
)
own = reading.selected_counts(snapshot.folder, only, "model")
by_cause = view.held("causes", lambda: views.cause_table(own()))
if by_cause["reported_failures"].sum():
    cards.card(
        view,
        "party-causes",
        words_parties.causes_title(by_cause),
        lambda: charts.cause_bars(by_cause),
        by_cause.drop("cause"),
        "Every reported failure has one cause, the first that holds; what each means is on the Causes page.",
    )
else:
    st.success("None of its Devices due was reported failed.")
models = view.held("models", lambda: views.by_party(own(), "model", {}))
cards.card(
    view,
    "party-models",
    words_parties.models_title(models),
    lambda: charts.dumbbell(models),
    models,
    words_parties.MODELS_HOW,
)

found = view.held("number to act on", lambda: count_to_act_on(own()))
if found:
    device_list.card(
        view,
        "to-act-on",
        words_parties.to_act_on_title(found, own_row["due"][0]),
        lambda: reading.devices_to_act_on(snapshot.folder, only),
        device_list.whole(snapshot, only),
        words_parties.TO_ACT_ON_HOW,
    )
