"""Asking the teacher: what is asked about what, and how a reply becomes an example."""
