"""What every other package may use: errors, types, lazy extras, the observer. Knows nothing else."""
