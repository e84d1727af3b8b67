// Draws a figure with plotly.js: once for each change, in place, and only while it is near what is seen of the page.
// A chart takes a tenth of a second, and a change of filters is a change of every chart.
const NEAR = 200
// Milliseconds after which the page says that plotly.js has not come.
const LATE = 5000
const SMALL = 12
const USUAL = 14
const FULL_SCREEN = {
  name: "Full screen",
  title: "Full screen",
  icon: { width: 24, height: 24, path: "M3 3h7v3H6v4H3zM14 3h7v7h-3V6h-4zM3 14h3v4h4v3H3zM18 14h3v7h-7v-3h4z" },
  click: ({ parentElement: frame }) => (document.fullscreenElement ? document.exitFullscreen() : frame.requestFullscreen()),
}
const CONFIG = {
  displaylogo: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d"],
  modeBarButtonsToAdd: [FULL_SCREEN],
}

export default function ({ parentElement, data, setTriggerValue }) {
  parentElement.chart ??= new Chart(parentElement)
  parentElement.chart.show(data, setTriggerValue)
  return () => parentElement.chart.end()
}

class Chart {
  constructor(parent) {
    this.frame = document.createElement("div")
    this.frame.setAttribute("role", "figure")
    this.plot = document.createElement("div")
    this.frame.append(this.plot)
    parent.append(this.frame)
    const page = parent.closest('[data-testid="stMain"]')
    // The observer tells of a chart only after the first draw would have been.
    this.isNear = !page || this.frame.getBoundingClientRect().top < page.clientHeight + NEAR
    this.seen = new IntersectionObserver(([{ isIntersecting }]) => this.comes(isIntersecting), {
      root: page,
      rootMargin: `${NEAR}px 0px`,
    })
    this.seen.observe(this.frame)
    this.sized = new ResizeObserver(() => requestAnimationFrame(() => this.fit()))
    this.sized.observe(this.frame)
    // What is printed is not what is seen.
    this.print = () => this.draw()
    addEventListener("beforeprint", this.print)
  }

  show({ figure, alt, clicks }, setTriggerValue) {
    this.frame.setAttribute("aria-label", alt)
    this.tell = clicks ? (points) => setTriggerValue("clicked", points) : null
    const theme = themeOf(this.frame)
    if (figure === this.figure && theme === this.theme) return
    Object.assign(this, { figure, theme, isDue: true })
    this.spec = JSON.parse(figure)
    this.frame.style.height = `${this.spec.layout.height}px`
    // A figure of other filters is not to be seen, nor saved.
    if (!this.isNear) this.plot.style.visibility = "hidden"
    else this.draw()
  }

  comes(isNear) {
    this.isNear = isNear
    if (isNear) this.draw()
  }

  async draw() {
    if (!this.isDue) return
    if (!window.Plotly) await this.library()
    const width = this.frame.clientWidth
    if (!this.isDue || !width) return
    this.isDue = false
    const { data, layout } = this.spec
    this.height = layout.height
    const dragmode = layout.dragmode ?? (this.tell ? "pan" : "zoom")
    const themed = { ...layout, template: this.theme, dragmode, width, height: this.heightNow() }
    Plotly.react(this.plot, data, themed, CONFIG)
    this.plot.style.visibility = ""
    this.plot.removeAllListeners("plotly_click")
    this.plot.on("plotly_click", ({ points }) => this.tell?.(points.map(plain)))
  }

  async library() {
    const late = setTimeout(() => {
      this.plot.textContent =
        "The chart is not there: what draws it has not come. Load the page again; the table has the same figures."
      this.plot.style.visibility = ""
    }, LATE)
    await loaded()
    clearTimeout(late)
    if (!this.plot.layout) this.plot.textContent = ""
  }

  heightNow() {
    return document.fullscreenElement === this.frame ? this.frame.clientHeight : this.height
  }

  fit() {
    const width = this.frame.clientWidth
    if (this.isDue) {
      if (this.isNear) this.draw()
    } else if (width && this.plot.layout) {
      const height = this.heightNow()
      if (width !== this.plot.layout.width || height !== this.plot.layout.height)
        Plotly.relayout(this.plot, { width, height })
    }
  }

  end() {
    this.isDue = false
    this.seen.disconnect()
    this.sized.disconnect()
    removeEventListener("beforeprint", this.print)
    if (this.plot.layout) Plotly.purge(this.plot)
  }
}

// plotly.js comes beside the page, by a script of its own; where that fails, this waits for ever.
function loaded() {
  const script = document.querySelector("script[data-plotly]")
  return window.Plotly ?? new Promise((done) => script.addEventListener("load", done, { once: true }))
}

// Of a point that was clicked, what tells which mark it is.
function plain({ x, y, customdata }) {
  return { x, y, customdata: ArrayBuffer.isView(customdata) ? [...customdata] : (customdata ?? null) }
}

// One object for each theme: Plotly takes another one for a change of everything.
const themes = new Map()

function themeOf(frame) {
  const style = getComputedStyle(frame)
  const [text, heading, page, line, family] = [
    "--st-text-color",
    "--st-heading-color",
    "--st-background-color",
    "--st-border-color",
    "--st-font",
  ].map((name) => style.getPropertyValue(name))
  const key = [text, page, line, family].join()
  const small = { color: text, size: SMALL }
  const title = { font: { color: text, size: USUAL } }
  const axis = {
    automargin: true,
    gridcolor: line,
    tickcolor: line,
    zerolinecolor: line,
    tickfont: small,
    title,
  }
  const layout = {
    font: { ...small, family },
    title: { font: { color: heading, family } },
    legend: { font: small, borderwidth: 0 },
    paper_bgcolor: page,
    plot_bgcolor: page,
    margin: { pad: 8, l: 0, r: 0 },
    hoverlabel: { bgcolor: page, bordercolor: line, font: { ...small, family } },
    modebar: { bgcolor: "rgba(0, 0, 0, 0)", color: text, activecolor: text },
    xaxis: { ...axis, showgrid: false, zeroline: false, title: { ...title, standoff: 20 } },
    yaxis: { ...axis, ticklabelposition: "outside", title: { ...title, standoff: 24 } },
  }
  const data = {
    heatmap: [{ colorbar: { outlinewidth: 0, tickfont: small } }],
    sankey: [{ textfont: { color: text } }],
    scatter: [{ marker: { line: { width: 0 } } }],
  }
  if (!themes.has(key)) themes.set(key, { layout, data })
  return themes.get(key)
}
