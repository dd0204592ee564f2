"""ZeDO (Jiang et al., 2023): no lifter is trained; each pose is optimised under a prior of poses."""
