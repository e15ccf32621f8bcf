"""`TORTOISE_ORM` for the `aerich` command, under the path that configuration files name."""

from automagik_prompts.storage.database import __getattr__ as __getattr__
