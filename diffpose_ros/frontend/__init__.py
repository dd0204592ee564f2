"""Image in, people in 2D out."""
