"""Measures of classification, calibration and selective answering, with group-bootstrap intervals."""
