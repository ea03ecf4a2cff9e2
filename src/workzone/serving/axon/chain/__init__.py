"""Who is registered, and where we are announced."""
