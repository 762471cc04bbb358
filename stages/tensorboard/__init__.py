"""TensorBoard's event files, read and written, and tables: made into the runs of a sweep."""
