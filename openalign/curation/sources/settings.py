"""Settings of tables among the sources."""

from openalign.settings import Settings


class TableSettings(Settings):
    """`[tables]`: the columns of source tables."""

    image_column: str | None = None
    """Image paths or URLs; None finds the column by its usual names."""
    text_column: str | None = None
    """Texts; None finds the column by its usual names."""
