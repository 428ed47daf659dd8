"""Several text files of an image that are told apart by a number: `a.0.txt` and `a.1.txt`, `a_1.txt` and `a_2.txt`."""

import re
from collections.abc import Iterable, Mapping

_NUMBERED = re.compile(r"(.+)([._-])(\d{1,4})", re.DOTALL)


def numbered_texts(
    image_of: Mapping[str, str], keys_of: Mapping[str, Iterable[str]], with_text: Iterable[str]
) -> dict[str, list[str]]:
    """The texts of each image that are numbered, in the order of their numbers.

    `image_of`: the image that a key names (`a`); `keys_of`: the keys of each text file that no image is called as;
    `with_text`: the images with a text of their own name. Numbers begin at 0 or 1, at 2 beside a text without one.

    As in tars, a number after a dot tells no texts apart where images have one too (`a.jpg`, `a.1.jpg`). After `_` or
    `-` it is more often part of the name, of an image that is missing: then there must be several without a gap, and no
    text without a number.
    """
    groups: dict[tuple[str, str], dict[int, str]] = {}
    for file, keys in keys_of.items():
        for key in keys:
            if (found := _NUMBERED.fullmatch(key)) and (image := image_of.get(found[1])) is not None:
                groups.setdefault((image, found[2]), {})[int(found[3])] = file
                break
    own = set(with_text)
    of_images = {found[2] for key in image_of if (found := _NUMBERED.fullmatch(key)) and found[1] in image_of}
    texts: dict[str, list[str]] = {}
    for (image, separator), files in groups.items():
        numbers = sorted(files)
        starts = (0, 1, 2) if image in own else (0, 1)
        counts_on = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        is_sure = separator == "." or (image not in own and len(numbers) > 1 and counts_on)
        if numbers[0] in starts and is_sure and separator not in of_images and image not in texts:
            texts[image] = [files[number] for number in numbers]
    return texts
