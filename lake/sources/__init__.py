"""Where rows come from: one file per source, one protocol for all."""
