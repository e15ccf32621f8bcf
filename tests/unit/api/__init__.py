"""Tests of `automagik_prompts.api`."""
