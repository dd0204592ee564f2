"""How good the skeletons are: metrics, the causal protocol over benchmark files, reports."""
