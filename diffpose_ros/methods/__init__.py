"""Lifting methods: networks, their model files, and what a run of them needs."""
