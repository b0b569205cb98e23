"""Figures: they read tables, and never load a model."""
