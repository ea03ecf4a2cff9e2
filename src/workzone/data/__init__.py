"""Data sets of street pictures: their schema, import, rendering, splits, and the grants that open them."""
