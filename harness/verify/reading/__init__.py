"""From an answer's text to a tree: its tokens, and what they say."""
