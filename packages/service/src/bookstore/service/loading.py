"""Makes a start shorter; a command imports it before anything else.

What modules make as they load, they keep: Python's collector would go through all of it again and again, and
find nothing, in nearly a third of the time that loading takes. `serve` sets it to what is right for requests.
"""

import gc

gc.set_threshold(100_000)
