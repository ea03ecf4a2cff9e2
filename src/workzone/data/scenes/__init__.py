"""The renderer of street scenes: a world of boxes, one pinhole camera, and the weather."""
