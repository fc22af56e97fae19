"""Hugging Face datasets as a source, from a folder or the Hub, streamed."""
