"""Checks that decide which generated rows deserve to be trained on."""
