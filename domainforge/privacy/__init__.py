"""Finding secrets and personal data, for the gate before the teacher and for the filter."""
