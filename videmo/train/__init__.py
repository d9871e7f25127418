"""Learning: still faces with labels to a backbone, clips' descriptors to a head."""
