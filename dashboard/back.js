// Streamlit puts a changed filter into the address of the history's present entry, so that Back would leave the page
// past every view that was looked at. Here each change is an entry of its own; changes in quick succession, as of a
// slider moved by its keys, are one.
const QUICK = 1000

export default function () {
  if (history.keepsViews) return
  history.keepsViews = true
  const [push, replace] = [history.pushState.bind(history), history.replaceState.bind(history)]
  let wentBack = -Infinity
  let changed = -Infinity
  const change = (asStreamlitWould) => (state, unused, url) => {
    const now = performance.now()
    const to = new URL(url ?? location.href, location.href)
    if (to.pathname !== location.pathname || to.search === location.search || now - wentBack < QUICK) {
      return asStreamlitWould(state, unused, url)
    }
    const isQuick = now - changed < QUICK
    changed = now
    return (isQuick ? replace : push)(state, unused, url)
  }
  history.pushState = change(push)
  history.replaceState = change(replace)
  addEventListener("popstate", () => (wentBack = performance.now()), true)
}
