"""What stands between this machine and a wave: settings, the way, clock, permissions, disk. Reads only."""
