"""The model zoo and its layers."""
