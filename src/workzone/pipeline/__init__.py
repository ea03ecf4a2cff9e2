"""Phases, the graph that their artifacts make, and the runner that skips, resumes and checks lineage."""
