"""Data sets of the contract: sequences, labels, splits."""
