"""What a cluster has and allows, against what jobs ask: profiles, Slurm, disks, environments."""
