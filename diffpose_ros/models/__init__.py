"""Networks (torch). One file each, with its configuration; they know nothing of diffusion."""
