"""What every node shares: conversions, parameters, QoS, diagnostics, the lifecycle base."""
