"""Who is answered first, and by which of two models."""
