"""First-layer filters to motifs: PWM, MEME, Tomtom, match statistics."""
