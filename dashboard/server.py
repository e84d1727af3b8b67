"""The dashboard's server: `python -m dashboard.server PORT`.

What pages need is imported before the first reader comes: readers who arrive together while a library is
half imported meet its ruins.
"""

import importlib
import sys
from pathlib import Path

from streamlit.web import cli

LIBRARIES = ("pandas", "polars", "plotly.graph_objects", "pyarrow.parquet", "duckdb", "xlsxwriter")
APP = Path(__file__).with_name("streamlit_app.py")


def main() -> None:
    for library in LIBRARIES:
        importlib.import_module(library)
    sys.argv = ["streamlit", "run", str(APP), "--server.port", sys.argv[1]]
    cli.main()


if __name__ == "__main__":
    main()
