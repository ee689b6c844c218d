"""Care of a lake: doctor, maintenance, pinned versions, backup and restore."""
