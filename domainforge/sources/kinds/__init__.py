"""One module per kind of file: bytes to documents, never anything else."""
