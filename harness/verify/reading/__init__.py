"""From text to trees: the final answer of a response, its tokens, and what they say."""
