"""Masks and the like are no images of their own: which are left out, and what is said of them."""

from collections.abc import Mapping, Sequence

from openalign.data.images.maps import maps_among
from openalign.data.left_out import Kind, LeftOut


def without_maps(
    images: Sequence[str], where: object, problems: list[str], texts: Mapping[str, object] | None = None
) -> list[str]:
    """The images that are no maps of others, or have a text of their own; the others are counted in `problems`."""
    maps = {image: other for image, other in maps_among(images).items() if image not in (texts or {})}
    if maps:
        problems.append(maps_left_out(maps, where))
    return [image for image in images if image not in maps] if maps else list(images)


def maps_left_out(maps: Mapping[str, str], where: object) -> LeftOut:
    """The message on maps that are not read; `maps` has the image that each is one of, "" if that is not there."""
    first, other = next(iter(maps.items()))
    of = f" of {other}" if other else ""
    return LeftOut(
        Kind.EXTRA_IMAGE,
        f"{where}: {len(maps):,} images are left out as masks or the like of others, the first: {first}{of}: "
        "to read them as images of their own, give their folder, or a table that names them",
        len(maps),
    )
