"""Sphinx configuration."""

from importlib.metadata import version as package_version

project = "lzc-flows"
author = "The lzc-flows developers"
release = package_version("lzc-flows")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
