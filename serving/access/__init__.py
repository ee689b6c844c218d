"""Who may ask: keys and tokens, roles by route, limits by tier. `docs/access.md` is for the user."""
