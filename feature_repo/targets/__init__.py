"""What models learn and what they read: labels and windows."""
