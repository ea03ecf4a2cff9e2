"""Files that are whole or absent, hashes, artifacts with their lineage, and the writer's lock."""
