"""Other people's models behind narrow contracts, one file per backend."""

import os

SPIN = ("GOMP_SPINCOUNT", "200")
"""Read by OpenMP when the first engine's library is loaded. llama.cpp's threads wait for each other at every step of a
model. By default (300 000) they do so in a loop that keeps a core, for which the one they wait for may be waiting
itself: with another program on one of two cores a prompt of 400 tokens took 6 to 14 s, one of two tokens up to 3.5 s.
With 3000 the long one takes as long as with 200; a short one, such as each turn adds, takes a quarter longer where
others work (250 to 290 ms for 190 to 220). Alone all are equally quick.
"""

os.environ.setdefault(*SPIN)
