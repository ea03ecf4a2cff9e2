"""What the miner counts, and what there is to worry about."""
