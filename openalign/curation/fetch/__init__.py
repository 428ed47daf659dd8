"""Images that are only linked, downloaded politely, safely and resumably."""
