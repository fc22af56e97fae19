"""The stages, one thin module each."""
