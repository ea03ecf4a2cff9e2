"""The service around an answerer: keys, limits, logs, and HTTP. Never imports torch."""
