"""The product's own settings but for what only takes time: nobody guesses the cast's passwords.

Django's usual way to keep a password takes a third of a second of processor time at each sign-in, and there
are hundreds of them in these tests.
"""

from sandboxes.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
