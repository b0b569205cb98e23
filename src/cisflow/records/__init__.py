"""Records of jobs: what they took, what to ask next time, and a finished figure as an RO-Crate."""
