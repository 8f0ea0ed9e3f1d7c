"""What lies between batcher and the cloud: a middleman of our own (`middleman.py`), and what it does to a wave."""
