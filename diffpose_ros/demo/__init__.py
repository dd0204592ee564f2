"""The demonstration: its clip, its ROS graph, what it records."""
