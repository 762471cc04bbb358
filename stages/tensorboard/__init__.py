"""TensorBoard's event files: read, written, and made into the runs of a CNN sweep."""
