"""What the market said, and when we knew it."""
