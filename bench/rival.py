"""One process of django-post_office over the mail of the bench: `python -m bench.rival PORT COUNT` prints its rate.

It gets a database of its own beside the bench's, its own queue and template, rendering on delivery, batches of 500, its
own five threads, and connections kept for a batch.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from bench.mail import HTML, ITEMS, SENDER, SUBJECT, TEXT
from bench.stage import beside


def configure(port: int, name: str) -> None:
    """A Django project that has nothing but the rival."""
    from django.conf import settings

    import config.env

    database = config.env.env.db("DATABASE_URL")
    settings.configure(
        DATABASES={"default": {**database, "NAME": name}},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
            "BATCH_SIZE": 500,
            "LOG_LEVEL": 0,
        },
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    )


def measure(count: int) -> float:
    """Messages a second of `count` queued ones."""
    from post_office import mail
    from post_office.models import EmailTemplate

    template = EmailTemplate.objects.create(name="bench", subject=SUBJECT, content=TEXT, html_content=HTML)
    mail.send_many(
        [
            {
                "recipients": [f"r{number}@example.com"],
                "sender": SENDER,
                "template": template,
                "context": {
                    "profile": {"first_name": "Mei"},
                    "event": {"products": ITEMS},
                    "links": {"unsubscribe": f"https://example.com/u/{number}"},
                },
                "render_on_delivery": True,
            }
            for number in range(count)
        ]
    )
    began, sent = time.perf_counter(), 0
    while sent < count:
        done, failed, _ = mail.send_queued(processes=1)
        assert (done > 0, failed) == (True, 0), (done, failed)
        sent += done
    return count / (time.perf_counter() - began)


def main(port: int, count: int) -> None:
    with beside("rival") as name:
        configure(port, name)
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.INFO)
        call_command("migrate", verbosity=0)
        print(json.dumps({"rate": measure(count)}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
