"""What follows from the images and texts of an index when it is written: near-duplicates, vectors of texts."""
