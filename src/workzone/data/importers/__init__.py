"""Bringing pictures from elsewhere into the one schema: one module a format, one way to write."""
