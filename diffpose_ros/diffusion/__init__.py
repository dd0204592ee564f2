"""Diffusion: schedules, initial distributions, samplers, guidance. They see callables, no networks."""
