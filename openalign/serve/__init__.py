"""Index -> answers over HTTP: the REST service and the search page."""

from openalign.extras import require

require("serve", "openalign.serve")
