"""What speaks against an answer that would be right: that it is a copy, or taken back."""
