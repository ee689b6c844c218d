"""Small files on local disk: durable writes, file rights, one job at a time."""
