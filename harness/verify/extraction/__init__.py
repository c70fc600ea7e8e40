"""From text to the final answer: forms, phrases, sentences, and the problem's own words."""
