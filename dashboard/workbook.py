"""The business case as a workbook whose formulas are live: change an input and every figure follows.

Each formula is written with the value that the page shows, so that a reader that does not recalculate shows it too.
Inputs have names (`in_growth`), and so have the numbers of Devices (`devices_now`), so that a formula can be read.
"""

import io
import re

import xlsxwriter

from analysis.assumptions import driver, drivers
from analysis.business_case import DRAWS, PAYERS, SEED, Case, cost_per_device, growth_factor
from analysis.case_volumes import CHF
from dashboard import words_business_case as words
from dashboard import words_criteria

MOST_YEARS = int(driver("years").limits[1])
POUNDS, DEVICES, PLAIN = "£#,##0.00;[Red]-£#,##0.00", "#,##0.00", "0.######"
KINDS = ("reported_failures", "over_reported", "still_over_reported", "missed_created", "unverified_passed")
COSTS = {
    "DCC Users": "in_user_hours*in_user_rate+in_visit_share*in_visit_cost",
    "CSPs": "in_csp_hours*in_csp_rate",
    "DCC": "in_incident_cost",
    "Consumers": "in_visit_share*in_consumer_hours*in_consumer_value",
}
ONCE = "is_change*(in_change_once+asks_evidence*in_evidence_once)"
YEARLY = "is_change*(in_change_yearly+asks_evidence*in_evidence_yearly)"
SAVED = (
    f"in_volume*((devices_now-devices_after)*({COSTS['DCC Users']}+{COSTS['CSPs']}+{COSTS['Consumers']})"
    f"+(hubs_now-hubs_after)*{COSTS['DCC']})"
)
GROWING = (
    "IF(ABS(in_discount_rate-in_growth)<1E-12,in_years/(1+in_discount_rate),"
    "(1-((1+in_growth)/(1+in_discount_rate))^in_years)/(in_discount_rate-in_growth))"
)
LEVEL = "IF(in_discount_rate=0,in_years,(1-(1+in_discount_rate)^-in_years)/in_discount_rate)"
# The net present value without the years one by one: the check of the calculation, and a row of the tornado.
CLOSED = f"({SAVED})*{GROWING}-{ONCE}-{YEARLY}*{LEVEL}"


def workbook(case: Case, about: dict[str, str]) -> bytes:
    """The file; about: what it says of itself, by name."""
    sink = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(sink, options) as book:
        _Sheets(book, case).write(about)
    return sink.getvalue()


class _Sheets:
    def __init__(self, book: xlsxwriter.Workbook, case: Case):
        self.book, self.case = book, case
        self.bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.wrap = book.add_format({"text_wrap": True, "valign": "top"})
        self.input = book.add_format({"bg_color": "#FFF2CC", "font_color": "#000000", "num_format": PLAIN})
        self.formats = {form: book.add_format({"num_format": form}) for form in (POUNDS, DEVICES, PLAIN, "0.0%")}
        book.set_calc_mode("auto")

    def write(self, about: dict[str, str]) -> None:
        summary = self._sheet("Summary", "Business case of a change of the criteria", [44, 22, 80])
        self._inputs()
        self._devices()
        self._calculation()
        self._summary(summary)
        self._sensitivity()
        self._sets()
        self._glossary()
        self._provenance(about)

    def _sheet(self, name: str, title: str, widths: list[int]) -> xlsxwriter.worksheet.Worksheet:
        sheet = self.book.add_worksheet(name)
        for column, width in enumerate(widths):
            sheet.set_column(column, column, width)
        sheet.write_string(0, 0, title, self.title)
        sheet.write_string(1, 0, f"No unit cost is known: every £ is {words.carried(self.case.assumptions)}.")
        sheet.set_landscape()
        sheet.fit_to_pages(1, 0)
        return sheet

    def _headings(self, sheet, row: int, names: list[str]) -> None:
        for column, name in enumerate(names):
            sheet.write_string(row, column, name, self.bold)

    def _formula(self, sheet, row: int, column: int, formula: str, value, form: str = POUNDS, name: str = "") -> None:
        sheet.write_formula(row, column, f"={formula}", self.formats[form], value)
        if name:
            self._name(sheet, row, column, name)

    def _name(self, sheet, row: int, column: int, name: str) -> None:
        cell = xlsxwriter.utility.xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True)
        self.book.define_name(name, f"='{sheet.name}'!{cell}")

    def _inputs(self) -> None:
        sheet = self._sheet("Inputs", "Inputs: change the yellow cells", [56, 12, 12, 12, 44, 26, 50, 18])
        headings = ["Driver", "Low", "Central (used)", "High", "Unit", "Who is affected", "Source", "Key"]
        self._headings(sheet, 3, headings)
        for row, one in enumerate(drivers(), start=4):
            given = self.case.assumptions[one.name]
            sheet.write_string(row, 0, one.label)
            for column, value in enumerate((given.low, given.central, given.high), start=1):
                sheet.write_number(row, column, value, self.input)
            for column, text in enumerate((one.unit, one.affects, given.source, one.name), start=4):
                sheet.write_string(row, column, text)
            self._name(sheet, row, 2, f"in_{one.name}")
        sheet.write_string(row + 2, 0, f"Years: a whole number from 1 to {MOST_YEARS}.")
        sheet.freeze_panes(4, 1)

    def _devices(self) -> None:
        case, kinds = self.case, words.named_kinds(self.case.kinds)
        sheet = self._sheet("Devices by cause", "Devices reported failed, from the snapshot", [20, 26, 28, *[20] * 5])
        sheet.write_string(2, 0, f"{words.set_in_words(case)}. Devices commissioned {words.period(case.months)}.")
        columns = ["device_type", "party_type", "cause", *KINDS]
        self._headings(sheet, 3, [words.NAMES[name].replace(" a year", "") for name in columns])
        rows = kinds.select(columns).rows()
        for row, values in enumerate(rows, start=4):
            for column, value in enumerate(values):
                sheet.write(row, column, value)
        last = 4 + len(rows)
        sheet.write_string(last, 0, "All", self.bold)
        for column, name in enumerate(KINDS, start=3):
            letter = xlsxwriter.utility.xl_col_to_name(column)
            self._formula(sheet, last, column, f"SUM({letter}5:{letter}{last})", int(kinds[name].sum()), PLAIN)
        row = last + 2
        sheet.write_string(row, 0, "To a year: 12 divided by the months counted")
        self._formula(sheet, row, 3, f"12/{case.months.months}", case.months.to_a_year, PLAIN, "to_a_year")
        of, hubs = case.of, f'SUMIF(A5:A{last},"{CHF}",'
        for label, name, formula, value in (
            ("Over-reported a year, in force", "devices_now", f"E{last + 1}", of.now),
            ("Over-reported a year, under the set", "devices_after", f"F{last + 1}", of.after),
            ("of them CHFs, in force", "hubs_now", f"{hubs}E5:E{last})", of.now_chf),
            ("of them CHFs, under the set", "hubs_after", f"{hubs}F5:F{last})", of.after_chf),
            ("Missed failures created a year", "missed_created", f"G{last + 1}", of.missed_created),
            ("Pass unverified a year", "unverified_passed", f"H{last + 1}", of.unverified_passed),
        ):
            row += 1
            sheet.write_string(row, 0, label)
            self._formula(sheet, row, 3, f"{formula}*to_a_year", value, DEVICES, name)
        for label, name, is_so in (
            ("The criteria are changed (1 yes, 0 no)", "is_change", of.is_change),
            ("Certificate evidence is asked for (1 yes, 0 no)", "asks_evidence", of.evidence),
        ):
            row += 1
            sheet.write_string(row, 0, label)
            sheet.write_number(row, 3, int(is_so))
            self._name(sheet, row, 3, name)
        sheet.freeze_panes(4, 0)

    def _calculation(self) -> None:
        case, found = self.case, self.case.summary
        sheet = self._sheet("Calculation", "Calculation, every cell a formula", [40, *[20] * 12])
        self._headings(sheet, 3, ["Who pays", "£ per Device (DCC: per CHF)", "Cost a year now", "Cost after", "Saving"])
        each = cost_per_device(case.values)
        for row, (payer, costs) in enumerate(zip(PAYERS, case.payers.to_dicts(), strict=True), start=4):
            now, after = ("hubs_now", "hubs_after") if payer == "DCC" else ("devices_now", "devices_after")
            sheet.write_string(row, 0, payer)
            self._formula(sheet, row, 1, COSTS[payer], each[payer])
            self._formula(sheet, row, 2, f"in_volume*{now}*B{row + 1}", costs["cost_now"])
            self._formula(sheet, row, 3, f"in_volume*{after}*B{row + 1}", costs["cost_after"])
            self._formula(sheet, row, 4, f"C{row + 1}-D{row + 1}", costs["saving"])
        sheet.write_string(8, 0, "All, year 1", self.bold)
        for column, (name, letter) in enumerate((("cost_now", "C"), ("cost_after", "D"), ("saving", "E")), start=2):
            self._formula(sheet, 8, column, f"SUM({letter}5:{letter}8)", found[name], POUNDS, f"year_1_{name}")
        for row, label, name, formula in ((9, "Change, once", "once", ONCE), (10, "Change, a year", "yearly", YEARLY)):
            sheet.write_string(row, 0, label)
            self._formula(sheet, row, 4, formula, found[f"cost_{name}"], POUNDS, f"change_{name}")
        self._years(sheet, 13)
        self._results(sheet, 13 + MOST_YEARS + 4)
        sheet.freeze_panes(0, 1)

    def _years(self, sheet, top: int) -> None:
        case = self.case
        columns = ["year", "growth_factor", *case.years.columns[1:]]
        self._headings(sheet, top - 1, [words.NAMES.get(name, "Times the volume of year 1") for name in columns])
        known = {row["year"]: row for row in case.years.to_dicts()}
        last = case.years.row(-1, named=True)
        for year in range(MOST_YEARS + 1):
            row, line = top + year, top + year + 1
            in_span = f"AND(A{line}>0,A{line}<=in_years)"
            # After the last year the sums stay as they are.
            nothing = dict.fromkeys(case.years.columns, 0.0) | {
                "discount_factor": (1 + case.values["discount_rate"]) ** -year,
                "net_so_far": last["net_so_far"],
                "present_value_so_far": last["present_value_so_far"],
            }
            values = known.get(year, nothing)
            grown = growth_factor(case.values, year) if 0 < year <= case.values["years"] else 0.0
            sheet.write_number(row, 0, year)
            self._formula(sheet, row, 1, f"IF({in_span},(1+in_growth)^(A{line}-1),0)", grown, PLAIN)
            formulas = {
                "over_reported_now": f"devices_now*in_volume*B{line}",
                "over_reported_after": f"devices_after*in_volume*B{line}",
                "missed_created": f"missed_created*in_volume*B{line}",
                "cost_now": f"year_1_cost_now*B{line}",
                "cost_after": f"year_1_cost_after*B{line}",
                "saving": f"F{line}-G{line}",
                "cost_of_change": f"IF(A{line}=0,change_once,IF({in_span},change_yearly,0))",
                "net": f"H{line}-I{line}",
                "discount_factor": f"(1+in_discount_rate)^-A{line}",
                "present_value": f"J{line}*K{line}",
                "net_so_far": f"SUM(J${top + 1}:J{line})",
                "present_value_so_far": f"SUM(L${top + 1}:L{line})",
            }
            for column, (name, formula) in enumerate(formulas.items(), start=2):
                is_pounds = "£" in words.NAMES[name]
                form = POUNDS if is_pounds else PLAIN if name == "discount_factor" else DEVICES
                self._formula(sheet, row, column, formula, values[name], form)
        sheet.set_column(13, 14, 20)
        self.first, self.last = top + 1, top + MOST_YEARS + 1
        self._payback_helper(sheet, top)

    def _payback_helper(self, sheet, top: int) -> None:
        """In each year of the span the time of payback if it falls there, else nothing; the least is the payback."""
        sheet.write_string(top - 1, 14, "Payback, if in this year", self.bold)
        found = self.case.summary["payback_years"]
        for year in range(MOST_YEARS + 1):
            line = top + year + 1
            if year == 0:
                formula, value = f'IF(AND(is_change=1,M{line}>=0),0,"")', found if found == 0 else ""
            else:
                crossing = f"AND(is_change=1,A{line}<=in_years,M{line - 1}<0,M{line}>=0)"
                formula = f'IF({crossing},A{line - 1}-M{line - 1}/J{line},"")'
                value = found if found is not None and year - 1 < found <= year else ""
            self._formula(sheet, top + year, 14, formula, value, PLAIN)

    def _results(self, sheet, row: int) -> None:
        found = self.case.summary
        years = f"B{self.first}:B{self.last}", f"K{self.first}:K{self.last}"
        payback = f"O{self.first}:O{self.last}"
        change = f"SUMPRODUCT(I{self.first}:I{self.last},{years[1]})"
        said = found["payback_years"] if found["payback_years"] is not None else words.NEVER
        none = words.NO_RATIO if found["benefit_cost_ratio"] is None else found["benefit_cost_ratio"]
        closed = found["net_present_value"]
        for label, name, formula, value, form in (
            (
                "Savings, present value",
                "pv_savings",
                f"year_1_saving*SUMPRODUCT({years[0]},{years[1]})",
                found["present_value_of_savings"],
                POUNDS,
            ),
            ("Cost of the change, present value", "pv_change", change, found["present_value_of_cost"], POUNDS),
            ("Net present value", "npv", f"SUM(L{self.first}:L{self.last})", closed, POUNDS),
            ("Payback, years", "payback", f'IF(COUNT({payback})=0,"{words.NEVER}",MIN({payback}))', said, PLAIN),
            ("Benefit-cost ratio", "ratio", f'IF(pv_change=0,"{words.NO_RATIO}",pv_savings/pv_change)', none, PLAIN),
            (
                "Missed failures created, all years",
                "missed_all_years",
                f"SUM(E{self.first}:E{self.last})",
                found["missed_created_all_years"],
                DEVICES,
            ),
            ("Net present value by closed form (a check)", "npv_closed", CLOSED, closed, POUNDS),
            ("Difference of the two", "npv_check", "ROUND(npv-npv_closed,2)", 0, POUNDS),
        ):
            sheet.write_string(row, 0, label, self.bold)
            self._formula(sheet, row, 1, formula, value, form, name)
            row += 1

    def _summary(self, sheet) -> None:
        case, found = self.case, self.case.summary
        sheet.write_string(2, 0, f"{words.set_in_words(case)}. {words.standing(case.assumptions)}")
        self._headings(sheet, 4, ["Figure", "Value", "How it is made"])
        how = dict(words.explained(case).select("Figure", "How it is made").rows())
        ratio = found["benefit_cost_ratio"]
        for row, (label, formula, value, form) in enumerate(
            (
                ("Cost of doing nothing, year 1", "year_1_cost_now", found["cost_now"], POUNDS),
                ("Cost under the set, year 1", "year_1_cost_after", found["cost_after"], POUNDS),
                ("Saving, year 1", "year_1_saving", found["saving"], POUNDS),
                ("Savings, present value", "pv_savings", found["present_value_of_savings"], POUNDS),
                ("Cost of the change, present value", "pv_change", found["present_value_of_cost"], POUNDS),
                ("Net present value", "npv", found["net_present_value"], POUNDS),
                (
                    "Payback",
                    "payback",
                    words.NEVER if found["payback_years"] is None else found["payback_years"],
                    PLAIN,
                ),
                ("Benefit-cost ratio", "ratio", words.NO_RATIO if ratio is None else ratio, PLAIN),
                ("Missed failures created a year", "missed_created*in_volume", found["missed_created"], DEVICES),
            ),
            start=5,
        ):
            sheet.write_string(row, 0, f"{label}, years" if label == "Payback" else label)
            self._formula(sheet, row, 1, formula, value, form)
            sheet.write_string(row, 2, how[label], self.wrap)
        sheet.write_string(row + 2, 0, "Missed failures have no price in the figures: what one costs is not known.")

    def _sensitivity(self) -> None:
        case = self.case
        sheet = self._sheet("Sensitivity", "Sensitivity: one driver at a time, live", [56, 14, 14, *[22] * 4])
        names = ["Driver", "Low", "High", "NPV at low, £", "NPV at high, £", "Swing, £", "Break-even value (not live)"]
        self._headings(sheet, 3, names)
        place = {one.name: row for row, one in enumerate(drivers(), start=5)}
        for row, swing in enumerate(case.tornado.to_dicts(), start=4):
            sheet.write_string(row, 0, swing["label"])
            for column, level, letter in ((1, "low", "B"), (2, "high", "D")):
                self._formula(sheet, row, column, f"Inputs!{letter}{place[swing['driver']]}", swing[level], PLAIN)
            for column, level, letter in ((3, "low", "B"), (4, "high", "C")):
                formula = re.sub(rf"\bin_{swing['driver']}\b", f"${letter}{row + 1}", CLOSED)
                self._formula(sheet, row, column, formula, swing[f"npv_at_{level}"])
            self._formula(sheet, row, 5, f"ABS(E{row + 1}-D{row + 1})", swing["width"])
            if swing["break_even"] is not None:
                sheet.write_number(row, 6, swing["break_even"], self.formats[PLAIN])
        row = 4 + case.tornado.height + 2
        simulated = case.simulation
        sheet.write_string(
            row, 0, f"Monte Carlo: {DRAWS:,} draws, {case.distribution}, seed {SEED} (not live)", self.bold
        )
        for label, value, form in (
            ("NPV, P10", simulated.p10, POUNDS),
            ("NPV, P50", simulated.p50, POUNDS),
            ("NPV, P90", simulated.p90, POUNDS),
            ("NPV, mean", simulated.mean, POUNDS),
            ("Chance that the NPV is negative", simulated.chance_negative, "0.0%"),
        ):
            row += 1
            sheet.write_string(row, 0, label)
            sheet.write_number(row, 3, value, self.formats[form])

    def _sets(self) -> None:
        names = ["set", "evidence", "over_reported_now", "over_reported_after", "saving"]
        names += [name for name in words.NAMES if name.startswith("saving_")] + ["net_present_value"]
        names += ["payback_years", "benefit_cost_ratio", "missed_created", "unverified_passed"]
        sheet = self._sheet("All sets", "All sets of amendments (not live)", [70, *[18] * 13])
        self._headings(sheet, 3, [words.NAMES[name] for name in names])
        for row, values in enumerate(words_criteria.named(self.case.sets).select(names).rows(), start=4):
            for column, (name, value) in enumerate(zip(names, values, strict=True)):
                if isinstance(value, bool):
                    sheet.write_string(row, column, "yes" if value else "no")
                elif value is not None:
                    form = POUNDS if "£" in words.NAMES[name] else DEVICES
                    sheet.write(row, column, value, None if column == 0 else self.formats[form])
        sheet.freeze_panes(4, 1)

    def _glossary(self) -> None:
        sheet = self._sheet("Glossary", "Glossary", [30, 110])
        for row, (term, meaning) in enumerate(words.GLOSSARY, start=3):
            sheet.write_string(row, 0, term, self.bold)
            sheet.write_string(row, 1, meaning, self.wrap)

    def _provenance(self, about: dict[str, str]) -> None:
        sheet = self._sheet("Provenance", "Where the figures come from", [30, 110])
        for row, (name, text) in enumerate(words.provenance(self.case, about), start=3):
            sheet.write_string(row, 0, name, self.bold)
            sheet.write_string(row, 1, text, self.wrap)
