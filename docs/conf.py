"""Settings of the documentation's site: `make site` builds it, without the network."""

import inspect
import os
import sys
from pathlib import Path
from typing import Any

import lehr.api
from lehr.callable import CallablePackage

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
os.environ |= {  # of the notebooks' kernels
    "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
    "LEHR_EXAMPLES": str(HERE.parent / "examples"),
    "LEHR_TUTORIALS": str(HERE / "tutorials"),
    "MATPLOTLIBRC": str(HERE / "_static"),
    "TTY_COMPATIBLE": "0",  # no bars and colours of rich
    "COLUMNS": "100",
}
OUTSIDE = {"../SECURITY.md": "security.md", "../benchmarks/README.md": "benchmarks.md"}
"""Pages that documents link to beside this folder, which the site includes."""


def sentence() -> str:
    """Return the first paragraph of README.md, which says what lehr is."""
    paragraphs = (HERE.parent / "README.md").read_text("utf-8").split("\n\n")
    return next(text for text in paragraphs if text[0].isalpha() or text[0] == "*")


project = "lehr"
author = copyright = "The lehr authors"  # noqa: A001 - the name that Sphinx reads
version = release = lehr.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "lehr_commands"]
exclude_patterns = ["_ext"]
root_doc = "index"
default_role = "code"  # single backquotes in docstrings are code
smartquotes = False  # two dashes are those of an option

myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"sentence": sentence()}

nb_execution_mode = "force"
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = "lehr"
html_static_path = ["_static"]
html_css_files = ["lehr.css"]
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []
pygments_style = "default"


def linked_inside(_app: Any, _page: str, source: list[str]) -> None:
    """Let links to documents beside this folder lead to the site's own pages."""
    for outside, inside in OUTSIDE.items():
        source[0] = source[0].replace(f"]({outside}", f"]({inside}")


def function_of(
    _app: Any, _what: str, name: str, obj: Any, _options: Any, lines: list[str]
) -> None:
    """Give a package that is called as a function that function's docstring."""
    if isinstance(obj, CallablePackage):
        lines[:] = (inspect.getdoc(getattr(lehr.api, name.rpartition(".")[2])) or "").splitlines()


def setup(app: Any) -> None:
    """Connect both."""
    app.connect("source-read", linked_inside)
    app.connect("autodoc-process-docstring", function_of, priority=400)
