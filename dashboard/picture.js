// A button that saves the chart of its card as a picture, with title, filters, snapshot and time drawn into it.
// Plotly's own camera draws it, in this browser; both it and the button go the same way.
const WIDTH = 1000
const NARROW = 700
const LEGEND = 36
const FONT = "Arial, Helvetica, sans-serif"
const CHARACTERS = { title: 100, line: 160 }
const CAMERA = '[data-title*="PNG"]'

export default function ({ parentElement, data }) {
  const card = parentElement.host.closest('[class*="st-key-card-"]')
  const button = parentElement.querySelector("button")
  button.setAttribute("aria-label", `PNG of the chart: ${data.title}`)
  button.onclick = () => card.querySelector(`.js-plotly-plot ${CAMERA}`)?.click()
  const isNew = !card.picture
  card.picture = { ...data, host: parentElement.host }
  if (isNew) card.addEventListener("click", dressed, true)
}

// Runs before Plotly's own handler, which copies the layout; what is on the page stays as it is.
function dressed(event) {
  const camera = event.target.closest?.(CAMERA)
  const chart = camera?.closest(".js-plotly-plot")
  if (!chart) return
  const { layout } = chart
  const options = chart._context.toImageButtonOptions
  chart.layout = withCaption(chart, this.picture)
  chart._context.toImageButtonOptions = {
    format: "png",
    filename: this.picture.file,
    width: WIDTH,
    height: chart.layout.height,
    scale: 2,
  }
  setTimeout(() => {
    chart.layout = layout
    chart._context.toImageButtonOptions = options
  })
}

function withCaption(chart, { title, lines, host }) {
  const style = getComputedStyle(host)
  const now = `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC`
  const heading = wrapped(title, CHARACTERS.title).map((line) => `<b>${line}</b>`)
  const caption = [...lines, `Picture made ${now}.`].flatMap((line) => wrapped(line, CHARACTERS.line))
  const { width, height, _size } = chart._fullLayout
  // A picture has no web font, and plain letters are wider; on a narrow page the legend's lines press the chart down.
  const l = Math.ceil(_size.l * 1.2)
  const legend = ((chart.layout.legend?.y ?? 1) - 1) * _size.h + LEGEND
  const t = width < NARROW ? Math.max(chart.layout.margin?.t ?? 0, legend) : _size.t
  const { b } = _size
  const above = 22 * heading.length + 14
  const below = 15 * caption.length + 14
  const text = { xref: "paper", yref: "paper", x: 0, xanchor: "left", xshift: 8 - l, align: "left", showarrow: false }
  const font = (size) => ({ size, family: FONT, color: style.getPropertyValue("--st-text-color") })
  return {
    ...chart.layout,
    autosize: false,
    width: WIDTH,
    height: height - _size.t + t + above + below,
    font: { ...chart.layout.font, family: FONT },
    paper_bgcolor: style.getPropertyValue("--st-background-color"),
    title: undefined,
    margin: { ...chart.layout.margin, l, t: t + above, b: b + below },
    annotations: [
      ...(chart.layout.annotations ?? []),
      { ...text, text: heading.join("<br>"), font: font(16), y: 1, yanchor: "bottom", yshift: t + 4 },
      { ...text, text: caption.join("<br>"), font: font(11), y: 0, yanchor: "top", yshift: -b - 4 },
    ],
  }
}

function wrapped(text, most) {
  const lines = [""]
  for (const word of escaped(text).split(" ")) {
    const last = lines.length - 1
    if (lines[last] && lines[last].length + word.length >= most) lines.push(word)
    else lines[last] += (lines[last] ? " " : "") + word
  }
  return lines
}

// Plotly reads a little HTML in texts.
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
}
