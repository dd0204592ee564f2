"""Motion data for training and evaluation; nothing that runs on a robot imports this room."""
