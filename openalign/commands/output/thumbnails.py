"""Small pictures in a terminal: two pixels a character, above and below, in colour."""

import io

import numpy as np
from PIL import Image
from rich.color import Color
from rich.style import Style
from rich.text import Text

_COLUMNS, _LINES = 16, 7
"""Characters of the largest picture."""


def picture(jpeg: bytes | None) -> Text:
    """A picture of at most 16 x 7 characters; empty without one."""
    if jpeg is None:
        return Text("(no picture)", style="dim")
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    image.thumbnail((_COLUMNS, 2 * _LINES))
    pixels_HW3 = np.asarray(image)
    if len(pixels_HW3) % 2:
        pixels_HW3 = np.concatenate([pixels_HW3, pixels_HW3[-1:]])
    lines = []
    for above, below in zip(pixels_HW3[::2].tolist(), pixels_HW3[1::2].tolist(), strict=True):
        line = Text()
        for upper, lower in zip(above, below, strict=True):
            line.append("▀", Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower)))
        lines.append(line)
    return Text("\n").join(lines)
