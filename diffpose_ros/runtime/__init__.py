"""Inference backends behind one protocol, and the model files they run.

Import what you need from the modules: ``protocol`` (types), ``catalog`` (model names and paths),
``load`` (choose and start a backend).
"""
