"""How manifests are read: each format, the bytes beneath it, and its usual rows at speed."""
