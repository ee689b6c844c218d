"""What each forecast was made from, under a seal; and the same forecast made again, to see whether it is so."""
