"""The deployable: its manifest, how it is written, opened and re-certified. No torch, no inference."""
