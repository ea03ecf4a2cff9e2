"""What a model is worth on `test`: measures with group intervals, slices, and the report of them."""
