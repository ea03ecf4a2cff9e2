"""What Bittensor subnet 72 asks, in which form, and what it pays for an answer; no model and no server."""
