"""The service: waves over HTTP. A thin front on the same engine, with the same files as `batcher run` makes."""
