"""Plots: pure functions from data to a Plotly figure. They know nothing of Gradio, of models or of files."""
