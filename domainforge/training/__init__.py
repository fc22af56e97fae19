"""Making the student: finding its weights, rendering rows, packing, and the trainer."""
