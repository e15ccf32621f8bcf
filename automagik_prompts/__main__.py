"""`python -m automagik_prompts` is the command `automagik-prompts`."""

from automagik_prompts.cli import main

if __name__ == "__main__":
    main()
