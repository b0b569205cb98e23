"""What results will take before they are made: jobs, hours, memory and disk."""
