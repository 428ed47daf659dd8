"""How an index is brought up to date."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IndexOptions:
    """What `Index.build` may be asked for."""

    strict: bool = False
    """Whether anything that is left out is an error."""
    re_embed: bool = False
    """Whether all images are embedded again, into an index that replaces the older one when it is finished."""
    watch: bool = False
    """Whether the sources are looked at again every few seconds, until Ctrl-C."""
    embed_texts: bool | None = None
    """Whether texts get vectors as well, from then on in every run; None: as in the run before, at first not."""
    map_: bool | None = None
    """The map of the collection: None brings it up to date (`search.map.make`), True makes it anew, False leaves it."""
