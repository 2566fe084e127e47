"""What both services sell: a small shop over a SQLAlchemy pool, with routes that are slow, fail and retry.

Nothing here knows OpenTelemetry. What `signals` is told, stock instrumentation cannot know.
"""

import logging
import os
import random
import tempfile
import threading
import time

from sqlalchemy import create_engine, text
from sqlalchemy.pool import QueuePool

import signals

log = logging.getLogger("shop")

_path = os.path.join(tempfile.gettempdir(), f"shop-{os.getpid()}.db")
engine = create_engine(
    f"sqlite:///{_path}",
    poolclass=QueuePool,
    pool_size=4,
    max_overflow=2,
    pool_recycle=30,
    connect_args={"check_same_thread": False},
)
signals.watch_pool(engine, "shop")

products = signals.Cache("products", type="application", limit=50)
mails = signals.Queue("mails", type="task", capacity=20)


class Unavailable(Exception):
    """The payment provider did not answer."""


def start():
    """Makes the tables and starts the worker that empties the queue of mails."""
    with engine.begin() as db:
        db.execute(text("create table if not exists product (id integer primary key, name text)"))
        db.execute(text("insert or ignore into product values (1, 'tea'), (2, 'salt'), (3, 'rice')"))
    threading.Thread(target=_send_mails, daemon=True).start()


def product(product_id):
    """A product, from the cache or from the database; None when there is none."""
    with products.lookup(product_id) as lookup:
        if lookup.hit:
            return lookup.value
        with engine.connect() as db:
            row = db.execute(text("select name from product where id = :id"), {"id": product_id}).first()
        return lookup.fill(row.name if row else None)


def search(words, user):
    """Slow by nature: holds a connection while it thinks."""
    with signals.feature("search", user=user), engine.connect() as db:
        db.execute(text("select count(*) from product")).scalar()
        time.sleep(random.uniform(0.2, 0.9))
    signals.intent("buy" if "cheap" in words else "browse", confidence=random.uniform(0.3, 1.0))
    return [words]


def order(user):
    """Pays, with retries, and queues a mail. Fails when the provider stays away."""
    with signals.feature("checkout", user=user), signals.retries("pay") as attempts:
        for attempt in attempts:
            with attempt(Unavailable):
                _pay()
    if not mails.put(user):
        log.warning("the queue of mails is full")
    return {"paid": True}


def _pay():
    time.sleep(0.01)
    if random.random() < 0.5:
        log.error("the payment provider did not answer")
        raise Unavailable("no answer")


def _send_mails():
    while True:
        mails.get()
        time.sleep(random.uniform(0.02, 0.2))
