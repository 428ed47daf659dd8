"""Index -> answers over HTTP: the REST service and the search page."""
