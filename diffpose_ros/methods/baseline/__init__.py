"""The baseline: a context encoder alone. What the other methods have to be better than."""
