"""The concrete pipeline: the one place that joins data, training, export, calibration and evaluation."""
