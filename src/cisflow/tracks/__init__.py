"""Coordinates and signal along the genome: intervals, liftover, genomes, values by bin."""
