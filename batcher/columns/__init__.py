"""The columns of what batcher writes, told to the programs that read them, so that none has to guess a type."""
