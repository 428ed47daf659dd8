"""Settings of tables among the sources."""

from openalign.settings import Settings


class TableSettings(Settings):
    """`[tables]`: how sources that are data sets are read, such as tables and shards."""

    image_column: str | None = None
    """Image paths or URLs; None finds the column by its usual names."""
    text_column: str | None = None
    """Texts; None finds the column by its usual names."""
    split: str | None = None
    """The split to read, of a source with several; "all" for every one."""
    layout: str | None = None
    """The layout to read sources in, as `openalign inspect` names them; None takes the first that a source has."""
    strict: bool = False
    """End with an error if anything of the sources cannot be read."""
