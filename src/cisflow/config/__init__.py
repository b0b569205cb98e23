"""The configuration: one authority for the Snakefile, the command line, the schemas and the tests."""
