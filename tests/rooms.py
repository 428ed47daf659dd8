"""Draws the rooms of the package and the imports between them, for CONTRIBUTING.md.

    python -m tests.rooms            # writes the drawings into CONTRIBUTING.md

An arrow is an import; one that follows from others (data -> model -> search makes data -> search) is left out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tests.test_layers import SOURCES, imports_of

CONTRIBUTING = Path(__file__).parents[1] / "CONTRIBUTING.md"
DRAWN = ("openalign", "openalign.curation")
Graph = Mapping[str, set[str]]


def rooms_of(folder: str) -> Graph:
    """Each room (package) of a folder with the rooms beside it that it imports from."""
    inside = [module for module in SOURCES if module.startswith(f"{folder}.")]
    rooms = {_child(module, folder) for module in inside if SOURCES[module].name == "__init__.py"}
    graph: dict[str, set[str]] = {room: set() for room in rooms}
    for module in inside:
        room = _child(module, folder)
        if room in rooms:
            imported = {name for name, _ in imports_of(SOURCES[module]) if name.startswith(f"{folder}.")}
            graph[room] |= ({_child(name, folder) for name in imported} & rooms) - {room}
    return graph


def _child(module: str, folder: str) -> str:
    return module.removeprefix(f"{folder}.").split(".")[0]


def reach(graph: Graph, start: str) -> set[str]:
    """All rooms that `start` imports from, directly or through others."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for room in graph[waiting.pop()] - found:
            found.add(room)
            waiting.append(room)
    return found


def without_shortcuts(graph: Graph) -> Graph:
    """The arrows that do not follow from others; the graph has no circle."""
    return {
        room: {target for target in targets if not any(target in reach(graph, other) for other in targets - {target})}
        for room, targets in graph.items()
    }


def drawing(folder: str) -> str:
    """A Mermaid flowchart; an arrow points from what is imported to what imports it, as the data go."""
    graph = without_shortcuts(rooms_of(folder))
    arrows = sorted((target, room) for room, targets in graph.items() for target in targets)
    linked = {room for arrow in arrows for room in arrow}
    lines = [*(f"    {room}" for room in sorted(graph.keys() - linked)), *(f"    {a} --> {b}" for a, b in arrows)]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def with_drawings(text: str) -> str:
    """The text with a fresh drawing between each pair of markers `<!-- rooms FOLDER -->` and `<!-- end -->`."""
    for folder in DRAWN:
        marked = re.compile(rf"(<!-- rooms {re.escape(folder)} -->\n).*?(<!-- end -->)", re.DOTALL)
        drawn = drawing(folder)
        text, count = marked.subn(lambda found, drawn=drawn: f"{found[1]}{drawn}\n{found[2]}", text)
        assert count == 1, f"CONTRIBUTING.md has not one drawing of the rooms of {folder}"
    return text


if __name__ == "__main__":
    CONTRIBUTING.write_text(with_drawings(CONTRIBUTING.read_text(encoding="utf-8")), encoding="utf-8")
