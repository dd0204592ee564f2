"""UniHPR: one embedding of pictures, keypoints and skeletons, and a decoder back to poses."""
