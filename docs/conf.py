"""The API reference of the thin library, from its docstrings; `make docs` builds it, and a warning is an error."""

from importlib.metadata import version as version_of

project = "reidlib"
author = "The reidlib authors"
version = release = version_of("reidlib")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"reidlib {version}"
html_show_copyright = False
html_show_sourcelink = False

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True  # `source: Iterable = PAPERS`, not the whole value
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes are described once, in the class's docstring
napoleon_use_rtype = False
