"""Training: configuration, losses, one resumable loop. Offline; nothing on a robot imports it."""
