"""What happened when, per turn."""
