"""Pictures of people with known joints: bodies of any build, posed from motion capture and drawn."""
