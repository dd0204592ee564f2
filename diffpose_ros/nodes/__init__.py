"""The nodes: subscribe, convert, call, publish. And the graph that runs them in one process."""
