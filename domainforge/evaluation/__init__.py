"""Measuring a student: questions, scores, statistics, and the verdict."""
