"""How fast training is, beside the loop that the replication notebook runs."""
