"""What the answers are read with: a page through an index, never a count over history."""
