"""A report as DOCX: captions, alternative texts, and tables whose header row stands on every page."""

import io
import zipfile
from xml.sax.saxutils import escape

import docx
from docx.document import Document as Word
from docx.enum.section import WD_ORIENT
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Mm, Pt, RGBColor

from dashboard.reports.model import Document, Grid, Picture
from dashboard.reports.widths import widths

EARLIEST = (1980, 1, 1, 0, 0, 0)
# In millimetres: A4 across, and the height a picture may take of it.
ACROSS, HIGHEST = 269, 68
# In twentieths of a point: the width of a table; letters of which size, in half points, go into a line of it.
TABLE = 15250
LETTERS = {13: 210, 15: 180}
# A table of no more rows is kept on one page.
SHORT = 16


def render(document: Document) -> bytes:
    word = docx.Document()
    _set_up(word, document)
    word.add_heading(document.title, level=1)
    for name, fact in [*document.facts, ("Made", document.made)]:
        line = word.add_paragraph()
        line.paragraph_format.space_after = Pt(0)
        line.add_run(f"{name}: ").bold = True
        line.add_run(fact)
    for note in document.notes:
        word.add_paragraph(note, style="Intense Quote")
    for part in document.parts:
        word.add_heading(part.title, level=2)
        for place, sentence in enumerate(part.sentences, 1):
            # With the heading and what follows, so that none stands alone at the foot of a page.
            is_followed = bool(part.pictures or part.grids) or place < len(part.sentences)
            word.add_paragraph(sentence).paragraph_format.keep_with_next = is_followed
        for picture in part.pictures:
            _picture(word, picture)
        for grid in part.grids:
            _table(word, grid)
    sink = io.BytesIO()
    word.save(sink)
    return _without_times(sink.getvalue())


def _set_up(word: Word, document: Document) -> None:
    facts = word.core_properties
    facts.title, facts.author, facts.last_modified_by = document.title, document.author, document.author
    facts.created = facts.modified = document.stamp.replace(microsecond=0)
    facts.comments, facts.language, facts.revision = document.line()[:255], "en-GB", 1
    section = word.sections[0]
    section.orientation = WD_ORIENT.LANDSCAPE
    section.page_width, section.page_height = Mm(297), Mm(210)
    section.left_margin = section.right_margin = Mm(14)
    section.top_margin, section.bottom_margin = Mm(18), Mm(18)
    word.styles["Normal"].font.name, word.styles["Normal"].font.size = "Liberation Sans", Pt(10)
    small = word.styles.add_style("Small", WD_STYLE_TYPE.PARAGRAPH)
    small.base_style, small.font.size, small.font.color.rgb = word.styles["Normal"], Pt(7), RGBColor(0x44, 0x44, 0x44)
    section.header.paragraphs[0].text = document.title
    section.header.paragraphs[0].style = small
    foot = section.footer.paragraphs[0]
    foot.style = small
    foot.add_run(document.line() + " \u00b7 Page ")
    _field(foot, "PAGE")
    foot.add_run(" of ")
    _field(foot, "NUMPAGES")


def _field(paragraph, name: str) -> None:
    paragraph._p.append(
        parse_xml(f'<w:fldSimple {nsdecls("w")} w:instr=" {name} "><w:r><w:t>1</w:t></w:r></w:fldSimple>')
    )


def _caption(word: Word, text: str) -> None:
    word.add_paragraph(text, style="Caption").paragraph_format.keep_with_next = True


def _picture(word: Word, picture: Picture) -> None:
    _caption(word, picture.caption)
    shape = word.add_picture(io.BytesIO(picture.png))
    scale = min(Mm(ACROSS) * 0.85 / shape.width, Mm(HIGHEST) / shape.height)
    shape.width, shape.height = int(shape.width * scale), int(shape.height * scale)
    said = shape._inline.find(qn("wp:docPr"))
    said.set("descr", picture.alt)
    said.set("title", picture.caption)


def _table(word: Word, grid: Grid) -> None:
    """Written as XML at once: the library takes a tenth of a second a hundred cells."""
    _caption(word, grid.caption)
    rows = grid.rows or [["None."] + [""] * (len(grid.heads) - 1)]
    size = 13 if len(grid.heads) > 10 else 15
    shares = widths(grid.heads, rows, LETTERS[size])
    across = [round(TABLE * share) for share in shares]
    together = len(rows) if len(rows) <= SHORT else 1
    body = _row(grid.heads, grid.numeric, across, size, is_head=True)
    body += "".join(
        _row(row, grid.numeric, across, size, is_kept=place < together) for place, row in enumerate(rows, 1)
    )
    borders = "".join(f'<w:{side} w:val="single" w:sz="4" w:color="767676"/>' for side in ("top", "bottom", "insideH"))
    said = escape(grid.caption, {'"': "&quot;"})
    columns = "".join(f'<w:gridCol w:w="{width}"/>' for width in across)
    table = parse_xml(
        f'<w:tbl {nsdecls("w")}><w:tblPr><w:tblW w:w="{sum(across)}" w:type="dxa"/>'
        f"<w:tblBorders>{borders}</w:tblBorders>"
        '<w:tblLayout w:type="fixed"/>'
        '<w:tblCellMar><w:left w:w="60" w:type="dxa"/><w:right w:w="60" w:type="dxa"/></w:tblCellMar>'
        f'<w:tblLook w:firstRow="1" w:firstColumn="1"/><w:tblCaption w:val="{said}"/></w:tblPr>'
        f"<w:tblGrid>{columns}</w:tblGrid>{body}</w:tbl>"
    )
    word.element.body.insert_element_before(table, "w:sectPr")
    for note in grid.notes:
        word.add_paragraph(note, style="Small")
    word.add_paragraph(style="Small")


def _row(
    values: list[str],
    numeric: list[bool],
    across: list[int],
    size: int,
    is_head: bool = False,
    is_kept: bool = False,
) -> str:
    """is_kept: on one page with the row that follows."""
    kept = "<w:keepNext/>" if is_head or is_kept else ""
    shade = '<w:shd w:val="clear" w:fill="EEF2F5"/>' if is_head else ""
    cells = "".join(
        f'<w:tc><w:tcPr><w:tcW w:w="{width}" w:type="dxa"/>{shade}</w:tcPr>'
        + f'<w:p><w:pPr>{kept}<w:spacing w:after="0"/>'
        + ('<w:jc w:val="right"/>' if is_number else "")
        + f'</w:pPr><w:r><w:rPr>{"<w:b/>" if is_head else ""}<w:sz w:val="{size}"/></w:rPr>'
        + f'<w:t xml:space="preserve">{escape(value)}</w:t></w:r></w:p></w:tc>'
        for value, is_number, width in zip(values, numeric, across, strict=True)
    )
    head = "<w:tblHeader/>" if is_head else ""
    return f"<w:tr><w:trPr><w:cantSplit/>{head}</w:trPr>{cells}</w:tr>"


def _without_times(data: bytes) -> bytes:
    """The same archive with no clock in it."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            new.writestr(zipfile.ZipInfo(name, EARLIEST), old.read(name), zipfile.ZIP_DEFLATED)
    return sink.getvalue()
