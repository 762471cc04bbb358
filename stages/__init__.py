"""The stages of the pipeline: one module per DVC stage, and the rooms that they share."""
