"""Figures of a report as text with their units."""


def percent(share: float) -> str:
    """0.314 -> `31.4 %`."""
    return f"{100 * share:.3g} %"


def gigabytes(size: float) -> str:
    """A number of bytes in GB, or in MB below that."""
    return f"{size / 1e9:.3g} GB" if size >= 1e9 or size == 0 else f"{size / 1e6:.3g} MB"


def duration(seconds: float) -> str:
    """In seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
