"""Regulatory genomics from the public source to the finished figure."""

__version__ = "0.1.0"
