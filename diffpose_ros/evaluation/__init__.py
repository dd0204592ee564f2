"""Accuracy of skeletons: metrics, the causal protocol on benchmark files, reports."""
