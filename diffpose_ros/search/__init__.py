"""Poses as vectors: galleries of taught poses, matching them online, indexes over many recordings."""
