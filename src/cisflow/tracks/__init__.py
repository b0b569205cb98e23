"""Coordinates: lifting places from one assembly to another."""
