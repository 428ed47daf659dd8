"""Serve an index over HTTP: the REST API and the search page."""

from openalign.extras import require

require("serve", "Serving a search page")
