"""Pages -> pairs -> shards: the paper's minimal filters (section 3), and a report of what each one dropped."""

from openalign.extras import require

require("curate", "Curating")
