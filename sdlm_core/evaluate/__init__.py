"""Evaluation: tasks, grading and sweeps over the acceptance threshold."""
