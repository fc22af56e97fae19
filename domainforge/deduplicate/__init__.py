"""Finds rows that say the same: exact copies, near-duplicates, and exam questions that leaked."""
