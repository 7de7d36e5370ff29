"""Other people's models behind narrow contracts, one file per backend."""

import os

SPIN = ("GOMP_SPINCOUNT", "3000")
"""Read by OpenMP when the first engine's library is loaded. llama.cpp's threads wait for each other at every step of a
model. By default they do so in a loop that keeps a core, for which the one they wait for may be waiting itself: with
another program on one of two cores a prompt of 400 tokens took 6 to 14 s. It takes 4 s now, and 1.9 s alone, as before.
"""

os.environ.setdefault(*SPIN)
