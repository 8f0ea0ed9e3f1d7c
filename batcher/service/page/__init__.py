"""The page for people, in a browser: its files, and what it reads beside the paths that programs use."""
