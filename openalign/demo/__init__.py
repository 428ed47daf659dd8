"""A miniature web of known contents, and every stage run on it."""

from openalign.extras import require

require("demo", "The demo")
