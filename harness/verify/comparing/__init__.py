"""Whether a gold answer and an answer are the same under a task's conventions."""
