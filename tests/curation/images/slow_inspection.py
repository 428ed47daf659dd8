"""Stands in for the inspection of images; apart from the other stand-ins, whose helper processes need no PyTorch."""

import time

from openalign.curation.images import single_image
from openalign.curation.images.settings import StorageSettings
from openalign.curation.images.single_image import Inspection
from tests.curation.stand_ins import LONG

_inspect_here = single_image.inspect_here


def inspect_slowly(data: bytes, wanted: bool, storage: StorageSettings) -> Inspection:
    if b"SLOW" in data:
        time.sleep(LONG)
    return _inspect_here(data, wanted, storage)
