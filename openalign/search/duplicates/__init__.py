"""Near-duplicates among the images of an index, found when it is written."""
