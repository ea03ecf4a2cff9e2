"""The command line: parses, builds, calls one function, renders. Nobody imports it."""
