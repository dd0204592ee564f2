"""How long a frame takes: each stage, each backend."""
