"""How linked images are fetched."""

from pydantic import model_validator

from openalign.settings import Settings


class FetchSettings(Settings):
    """`[fetch]`: what is downloaded, and the limits of a request."""

    download: bool = True
    """Whether images that the sources only link to are fetched."""
    allow_private_hosts: bool = False
    """Whether loopback and private IP addresses may be reached."""
    fetch_at_once: int = 32
    """Concurrent requests over all hosts."""
    fetch_per_host: int = 4
    """Concurrent requests to one host."""
    fetch_max_bytes: int = 20 << 20
    """Size of an image; a larger one is refused."""
    fetch_seconds: float = 30.0
    """Time of one attempt, redirects and robots.txt included."""
    fetch_redirects: int = 5
    """Redirects followed for one URL."""
    fetch_attempts: int = 3
    """Attempts for a URL that fails for reasons that may pass."""
    fetch_longest_wait: float = 30.0
    """Seconds to wait before another attempt; a server that asks for more is left for another run."""

    @model_validator(mode="after")
    def _check(self) -> "FetchSettings":
        self.expect_at_least_1("fetch_at_once", "fetch_per_host", "fetch_max_bytes", "fetch_attempts")
        self.expect_more_than_0("fetch_seconds")
        self.expect_between(0, float("inf"), "fetch_redirects", "fetch_longest_wait")
        return self
