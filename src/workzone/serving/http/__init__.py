"""The HTTP face of the service, on FastAPI; the rest of `serving` is free of it."""
