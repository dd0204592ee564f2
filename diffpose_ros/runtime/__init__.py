"""Inference backends behind one protocol; whose graphs they run is no concern of theirs.

Import what you need from the modules: ``graph_spec`` (what a graph is), ``protocol`` (what a backend
is), ``load`` (choose and start one).
"""
