"""Training the graph's stale stages in parallel, and recording them as `dvc repro` would."""
