"""Door 2, the wire: terminal bytes, stats and nudges; no HTML."""
