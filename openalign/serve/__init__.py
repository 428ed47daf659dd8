"""Serve an index over HTTP: the REST API and the search page."""

from openalign.extras import require

require("serve", "openalign.serve")
