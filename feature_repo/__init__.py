"""What a model may know at a time: features, labels, windows, and the store that serves them."""
