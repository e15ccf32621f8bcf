"""Texts and their differences as a page shows them: pure values, which templates only print."""
