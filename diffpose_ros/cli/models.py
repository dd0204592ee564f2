"""``diffpose_ros models``: which models are in the box, which backends work here."""
