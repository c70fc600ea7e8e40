"""What runs in a stage's process: training a checkpoint, or generating answers with one.

Every file of this package, and of what it imports from the rest of the harness, is part of the name
of every stage: changed code is never taken for work that was done before.
"""
