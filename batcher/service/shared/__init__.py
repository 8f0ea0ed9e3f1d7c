"""Services over a database that machines share: whatever one of them is told, all of them know."""
