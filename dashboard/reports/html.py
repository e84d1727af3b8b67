"""A report as one HTML file that asks for nothing: pictures inside, no script."""

import base64
from pathlib import Path

import jinja2

from dashboard.reports.model import Document

TEMPLATES = Path(__file__).with_name("templates")


def render(document: Document) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template("report.html.j2").render(document=document).encode()
