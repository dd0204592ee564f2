"""Virtual cameras, bodies and detectors that see motion capture."""
