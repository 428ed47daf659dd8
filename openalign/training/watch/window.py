"""Sums over the steps between two records of the log."""

from dataclasses import dataclass, field

from openalign.data.loading.loader import Batch


@dataclass
class Window:
    """The steps since the last record."""

    began: float
    """Of the clock `time.perf_counter`."""
    steps: int = 0
    problems: int = 0
    new_problems: list[str] = field(default_factory=list)
    _waited: float = 0.0
    _disk: float = 0.0
    _decode: float = 0.0
    _build: float = 0.0
    _pieces: float = 0.0

    def add(self, batch: Batch, waited: float) -> None:
        """Add a step that waited so many seconds for its batch."""
        self.steps += 1
        self.problems += len(batch.problems)
        self._waited += waited
        self._disk += batch.disk_s
        self._decode += batch.decode_s
        self._build += batch.build_s
        self._pieces += float(batch.mask_BT.sum()) / len(batch.mask_BT)

    def shares(self, now: float) -> dict[str, float]:
        """The share of the time that the model waited, and the shares of the workers' time that went into each part."""
        build = max(self._build, 1e-9)
        return {
            "waiting_for_loader": self._waited / (now - self.began),
            "loader_disk_share": self._disk / build,
            "loader_decode_share": self._decode / build,
        }

    @property
    def mean_pieces(self) -> int:
        """Mean word pieces of a text, without padding, which costs no useful arithmetic."""
        return max(round(self._pieces / self.steps), 1)
