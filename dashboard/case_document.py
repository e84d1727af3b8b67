"""The business case as a Word document, in the shape of a Modification Report's impact section."""

import io
import re
from collections.abc import Sequence

import polars as pl
from docx import Document
from docx.document import Document as Doc
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.oxml.text.paragraph import CT_P
from docx.shared import Cm, Pt
from docx.text.paragraph import Paragraph

from analysis import criteria
from analysis.business_case import Case
from analysis.rates import failures_by_cause, rates
from dashboard import case_pictures, words_criteria
from dashboard import words_business_case as words
from dashboard.case_pictures import Bar, Row
from dashboard.charts import ACTUAL, OVER_REPORTED, REPORTED
from dashboard.reports.widths import widths
from dashboard.words import count, percent

SMALL, FOOT = Pt(8), Pt(7)
# The width of a table, and how many letters of it go into a line.
ACROSS, LETTERS = Cm(17), 96
# A table of no more rows is kept on one page.
SHORT = 12
NUMBER = re.compile(rf"{words.MINUS}?£?[\d,]+(\.\d+)?( %|\u00a0%)?")
MOST_SWINGS = 10


def document(case: Case, about: dict[str, str]) -> bytes:
    """The file; about: what it says of itself, by name."""
    made = _Made()
    _summary(made, case, about)
    _issue(made, case)
    _options(made, case)
    _costs(made, case)
    _rest(made, case, about)
    return made.as_bytes()


class _Made:
    """A document to which headings, paragraphs, captioned tables and captioned pictures are added."""

    def __init__(self) -> None:
        self.doc: Doc = Document()
        self._numbers = {"Table": 0, "Figure": 0}
        section = self.doc.sections[0]
        section.page_width, section.page_height = Cm(21), Cm(29.7)
        section.left_margin = section.right_margin = Cm(2)
        self.doc.styles["Normal"].font.name = "Calibri"
        self.doc.styles["Normal"].font.size = Pt(10.5)
        language = OxmlElement("w:lang")
        language.set(qn("w:val"), "en-GB")
        self.doc.styles["Normal"].element.get_or_add_rPr().append(language)

    def heading(self, text: str, level: int = 1) -> None:
        self.doc.add_heading(text, level)

    def say(self, text: str, style: str | None = None) -> None:
        """A paragraph in which `**` sets apart what is bold."""
        paragraph = self.doc.add_paragraph(style=style)
        for place, part in enumerate(text.split("**")):
            paragraph.add_run(part).bold = bool(place % 2)

    def table(self, caption: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Its first row is said again on each page that it goes on to; no row breaks over two."""
        if isinstance(said := self.doc.element.body[-2], CT_P):
            Paragraph(said, self.doc).paragraph_format.keep_with_next = True
        self._caption("Table", caption).paragraph_format.keep_with_next = True
        table = self.doc.add_table(rows=0, cols=len(names), style="Light Grid Accent 1")
        table.autofit = False
        across = [int(ACROSS * share) for share in widths(names, rows, LETTERS)]
        for column, width in zip(table.columns, across, strict=True):
            column.width = width
        last = len(rows) if len(rows) <= SHORT else 1
        for place, values in enumerate([names, *rows]):
            row = table.add_row()
            properties = row._tr.get_or_add_trPr()
            properties.append(OxmlElement("w:cantSplit"))
            if place == 0:
                properties.append(OxmlElement("w:tblHeader"))
            for cell, value, width in zip(row.cells, values, across, strict=True):
                cell.width = width
                paragraph = cell.paragraphs[0]
                paragraph.add_run(value).font.size = SMALL
                paragraph.paragraph_format.keep_with_next = place < last
                if place and NUMBER.fullmatch(value):
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
        self.doc.add_paragraph()

    def picture(self, caption: str, png: bytes, alt: str) -> None:
        self.doc.add_picture(io.BytesIO(png), width=Cm(17))
        self.doc.paragraphs[-1].paragraph_format.keep_with_next = True
        properties = self.doc.inline_shapes[-1]._inline.docPr
        properties.set("descr", alt)
        properties.set("title", caption)
        self._caption("Figure", caption)

    def _caption(self, kind: str, text: str) -> Paragraph:
        """Numbered by a field, so that Word can renumber and list them."""
        self._numbers[kind] += 1
        paragraph = self.doc.add_paragraph(f"{kind} ", style="Caption")
        field = OxmlElement("w:fldSimple")
        field.set(qn("w:instr"), f" SEQ {kind} \\* ARABIC ")
        number = paragraph.add_run(str(self._numbers[kind]))._r
        paragraph._p.remove(number)
        field.append(number)
        paragraph._p.append(field)
        paragraph.add_run(f": {text}")
        return paragraph

    def foot(self, text: str) -> None:
        """On every page, with its number."""
        paragraph = self.doc.sections[0].footer.paragraphs[0]
        paragraph.add_run(f"{text} \u00b7 Page ").font.size = FOOT
        for name, after in (("PAGE", " of "), ("NUMPAGES", "")):
            field = OxmlElement("w:fldSimple")
            field.set(qn("w:instr"), f" {name} ")
            number = paragraph.add_run("1")
            number.font.size = FOOT
            field.append(number._r)
            paragraph._p.append(field)
            paragraph.add_run(after).font.size = FOOT

    def as_bytes(self) -> bytes:
        sink = io.BytesIO()
        self.doc.save(sink)
        return sink.getvalue()


def _summary(made: _Made, case: Case, about: dict[str, str]) -> None:
    title = "Business case: impact of a change of the Post Commissioning criteria"
    made.doc.core_properties.title = title
    made.doc.core_properties.author = ""
    made.doc.add_heading(title, 0)
    made.foot(words.foot(about))
    made.say(f"The Devices that this case is about: {about['filters']}.")
    if estate := about.get("estate"):
        made.say(f"**{estate}**")
    made.heading("Summary")
    made.say(words.NO_COST_IS_KNOWN)
    made.say(f"**{words.headline(case)}.** {words.set_in_words(case)}.")
    made.say(words.volumes(case))
    made.say(words.other_side(case))
    rows = [(name, number, rests) for name, number, rests in words.metrics(case)]
    made.table("The case in figures", ("Figure", "Value", "Rests on"), rows)


def _issue(made: _Made, case: Case) -> None:
    made.heading("The issue in figures")
    found = rates(case.counts).row(0, named=True)
    made.say(
        f"Of {count(found['due'])} Devices due, {count(found['reported_failures'])} "
        f"({percent(found['reported_failure_rate'])}) are reported failed. {count(found['verified'])} could be judged "
        f"by their certificates; {percent(found['actual_failure_rate'])} of all are estimated not to be secure."
    )
    names = ("due", "reported_failures", "over_reported", "missed_failures", "verified", "not_secure")
    headings = ("Devices due", "Reported failed", "Over-reported", "Missed failures", "Verified", "Found not secure")
    made.table("Devices selected, all months", headings, [[count(found[name]) for name in names]])
    causes = words.named_kinds(failures_by_cause(case.counts))
    numbers = ("reported_failures", "over_reported", "confirmed_failures", "unverified_failures")
    made.table(
        "Reported failures by cause, all months",
        ("Cause", "Reported failed", "Certificates right", "Not secure", "Not verified"),
        [[row["cause"], *(count(row[name]) for name in numbers)] for row in causes.to_dicts()],
    )
    yearly = _by_cause(case)
    rows = [
        Row(cause, (Bar(0, now - after, ACTUAL), Bar(now - after, now, OVER_REPORTED)), words.number(now))
        for cause, now, after in yearly
    ]
    legend = {ACTUAL: "Removed by the set", OVER_REPORTED: "Still over-reported"}
    said = "; ".join(
        f"{cause} {words.number(now)}, of which {words.number(after)} stay" for cause, now, after in yearly
    )
    picture = case_pictures.bars(rows, "Over-reported Devices a year", legend)
    made.picture(f"{words.causes_title(case)}, by cause", picture, f"Bars of Devices a year by cause: {said}.")
    made.say(words.causes_how(case))


def _by_cause(case: Case) -> list[tuple[str, float, float]]:
    columns = ("over_reported", "still_over_reported")
    table = words.named_kinds(case.kinds).group_by("cause").agg(pl.col(columns).sum() * case.months.to_a_year)
    return table.sort("over_reported", "cause", descending=[True, False]).rows()


def _options(made: _Made, case: Case) -> None:
    made.heading("Options")
    made.say(
        "Each amendment accepts one reason for an unmet check; they can be made in any set, with or without "
        "certificate evidence. With evidence a Device passes only where its certificates are known to be right, "
        "so no failure is hidden, but Devices that were not verified stay reported failed."
    )
    in_devices = words_criteria.named(criteria.sets(case.counts)).to_dicts()
    in_pounds = words_criteria.named(case.sets).to_dicts()
    made.table(
        f"All sets: Devices of all months, and the case of a year's; pounds {words.carried(case.assumptions)}",
        ("Set", "Evidence", "Reported failed", "Over-reported", "Missed failures", "NPV", "Missed created a year"),
        [
            [
                row["set"],
                "yes" if row["evidence"] else "no",
                *(count(row[name]) for name in ("reported_failures", "over_reported", "missed_failures")),
                words.pounds(priced["net_present_value"]),
                words.number(priced["missed_created"]),
            ]
            for row, priced in zip(in_devices, in_pounds, strict=True)
        ],
    )
    made.say(f"{words.sets_title(case)}.")


def _costs(made: _Made, case: Case) -> None:
    made.heading("Costs and benefits by party")
    carried, pounds = words.carried(case.assumptions), words.pounds
    columns = ("cost_now", "cost_after", "saving", "present_value_of_savings")
    rows = [[row["payer"], *(pounds(row[name]) for name in columns)] for row in case.payers.to_dicts()]
    rows.append(["All", *(pounds(case.payers[name].sum()) for name in columns)])
    headings = ("Who pays", "Now, year 1", "Under the set", "Saving", "Saving, present value")
    made.table(f"Cost of over-reported Devices by who bears it, {carried}", headings, rows)
    columns = ("cost_now", "cost_after", "saving")
    made.table(
        f"What DCC Users bear, by the present Supplier's type, {carried}",
        ("Type", "Devices a year now", "Under the set", "Cost now", "Under the set", "Saving"),
        [
            [
                row["party_type"],
                words.number(row["over_reported_now"]),
                words.number(row["over_reported_after"]),
                *(pounds(row[name]) for name in columns),
            ]
            for row in case.party_types.to_dicts()
        ],
    )
    columns = ("saving", "cost_of_change", "net", "present_value", "present_value_so_far")
    made.table(
        f"Year by year, real pounds, {carried}",
        ("Year", "Saving", "Cost of the change", "Net", "Present value", "Present value so far"),
        [[str(row["year"]), *(pounds(row[name]) for name in columns)] for row in case.years.to_dicts()],
    )
    figures = words.explained(case)
    made.table("How each figure is made", figures.columns, figures.rows())
    made.heading("If the assumptions are wrong", 2)
    _swings(made, case)
    made.say(f"{words.simulation_title(case)}. {words.simulation_how(case)}")


def _swings(made: _Made, case: Case) -> None:
    swings = case.tornado.head(MOST_SWINGS).to_dicts()
    if not swings:
        return
    rows = [
        Row(
            swing["label"],
            (
                Bar(swing["npv_at_central"], swing["npv_at_low"], REPORTED),
                Bar(swing["npv_at_central"], swing["npv_at_high"], ACTUAL),
            ),
            words.pounds(swing["width"]),
        )
        for swing in swings
    ]
    axis = f"NPV, £, and how far each swings it, {words.carried(case.assumptions)}"
    picture = case_pictures.bars(rows, axis, {REPORTED: "Driver at low", ACTUAL: "Driver at high"})
    said = "; ".join(
        f"{swing['label']} {words.pounds(swing['npv_at_low'])} to {words.pounds(swing['npv_at_high'])}"
        for swing in swings
    )
    made.picture(words.tornado_title(case), picture, f"Bars of net present value at low and high: {said}.")
    made.table(
        f"Break-even value of each driver, the others at central, {words.carried(case.assumptions)}",
        ("Driver", "Unit", "Low", "Central", "High", "Break-even"),
        [
            [
                swing["label"],
                swing["unit"],
                *(words.plain_number(swing[level]) for level in ("low", "central", "high")),
                words.NO_BREAK_EVEN if swing["break_even"] is None else words.plain_number(swing["break_even"], 4),
            ]
            for swing in case.tornado.to_dicts()
        ],
    )


def _rest(made: _Made, case: Case, about: dict[str, str]) -> None:
    made.heading("Risks")
    for risk in words.RISKS:
        made.say(risk, "List Bullet")
    made.heading("Assumptions")
    made.say(f"{words.standing(case.assumptions)} The figures use the central values.")
    table = words.inputs_table(case.assumptions).drop("Key")
    rows = [[value if isinstance(value, str) else words.plain_number(value) for value in row] for row in table.rows()]
    made.table("Assumptions", table.columns, rows)
    made.heading("Sources")
    made.table("Where the figures come from", ("What", "Is"), words.provenance(case, about))
    made.table("Terms", ("Term", "Meaning"), words.GLOSSARY)
