"""View models: what a page shows, made of values alone, frozen, and ready to be printed."""
