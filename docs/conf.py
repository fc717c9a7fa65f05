"""Settings of the documentation's site: `make site` builds it, without the network."""

import sys
from pathlib import Path

import os
import lehr

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))


def sentence() -> str:
    """Return the first paragraph of README.md, which says what lehr is."""
    paragraphs = (HERE.parent / "README.md").read_text("utf-8").split("\n\n")
    return next(text for text in paragraphs if text[0].isalpha() or text[0] == "*")


project = "lehr"
author = copyright = "The lehr authors"  # noqa: A001 - the name that Sphinx reads
version = release = lehr.__version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "commands"]
exclude_patterns = ["_ext"]
root_doc = "index"
nitpicky = False
default_role = "code"  # single backquotes in docstrings are code
numfig = False

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
