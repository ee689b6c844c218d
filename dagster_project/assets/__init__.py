"""One asset per table or artefact, in groups by stage; a body is one call."""
