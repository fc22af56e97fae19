"""Dividing rows into train, validation and test, and the proof that nothing leaks."""
