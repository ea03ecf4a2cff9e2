"""Fits calibrators and thresholds on saved logits and certifies them. Runs no model, opens no files."""
