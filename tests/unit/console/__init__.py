"""Tests of the console's pure parts."""
