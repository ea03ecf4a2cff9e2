"""What is checked of a data set before it costs anything: one module a family of checks."""
