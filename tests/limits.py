"""How long tests wait for something that should come, in one place (pytest's own limit is in pyproject.toml).

No limit tells a slow machine from a fast one: they are there so that a hang fails. What a test waits for comes within
a minute on two idle cores; a machine at a third of that speed, with several jobs a core, is meant to pass as well.
"""

# Seconds. It must stay well below `timeout` in pyproject.toml, or the test ends without its own message.
LIMIT = 900
# Seconds of CPU time of what takes one or two, and took half a minute or more when it was done badly.
CPU_LIMIT = 20
# Seconds that a program sleeps which stands for one that hangs: longer than any test waits for it.
HANG = 10 * LIMIT
