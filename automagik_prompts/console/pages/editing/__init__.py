"""The page on which a text is written: what is wrong with it, what it says when it is filled, and how it is saved."""
