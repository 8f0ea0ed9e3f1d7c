"""How manifests are read: each format, the bytes beneath it, and its regular rows at speed."""
