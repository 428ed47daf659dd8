"""The map of a collection: positions on a plane where similar images lie side by side, and clusters with names.

It is made when indexing, so that neither the service nor a search computes it.
"""

from openalign.search.map.file import Cluster
from openalign.search.map.opened import OpenedMap

__all__ = ["Cluster", "OpenedMap"]
