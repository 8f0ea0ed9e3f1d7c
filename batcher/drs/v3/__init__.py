"""DRS as its API of version 3 has it: wire models, paths, and what each of its answers means.

Reads of version 5 that discovery needs are here as well. Everybody else knows the port: `batcher.drs.cloud`.
"""
