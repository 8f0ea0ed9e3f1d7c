"""What commands do with a wave in a database that machines share."""
