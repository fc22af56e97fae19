"""What a row is worth: rubric, calibration, what people said of rows, the student's own loss."""
