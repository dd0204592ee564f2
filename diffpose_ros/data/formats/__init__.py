"""Readers of the files in which motion data is passed around."""
