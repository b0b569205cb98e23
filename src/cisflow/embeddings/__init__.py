"""Embeddings of sequences by a pretrained Basenji2."""
