"""From a frame to fitted, judged models."""
