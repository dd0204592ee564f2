"""Passes that save nodes: each rewrites a graph into one that computes the same, and knows no model."""
