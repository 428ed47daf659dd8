"""Whatever a DATA argument names, as one table of images and texts."""
