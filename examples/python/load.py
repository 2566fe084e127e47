"""Load on one of the services: `python load.py http://127.0.0.1:5000 [--seconds 60] [--rate 20]`. Ends by itself.

With `--failing 0.25` exactly that share of the requests fails, and the others are quick.
"""

import argparse
import collections
import concurrent.futures
import random
import time

import requests

# What is asked for, and how often. Orders fail where four attempts to pay did: about one in sixteen.
ROUTES = [
    ("GET", "/products/{id}", 50),
    ("GET", "/search", 15),
    ("POST", "/orders", 20),
    ("GET", "/broken", 4),
    ("GET", "/limited", 3),
    ("GET", "/summary", 3),
    ("GET", "/healthz", 3),
    ("GET", "/nowhere", 2),
]


def choose(number, failing):
    """The method and path of a request."""
    if failing is None:
        return random.choices(ROUTES, [weight for *_, weight in ROUTES])[0][:2]
    fails = int((number + 1) * failing) > int(number * failing)
    return "GET", "/broken" if fails else "/products/1"


def ask(base, method, path):
    path = path.format(id=random.randint(1, 4))
    query = {"q": random.choice(["cheap tea", "rice"])} if path == "/search" else None
    user = {"x-user": f"user-{random.randint(1, 40)}"}
    try:
        answer = requests.request(method, base + path, params=query, headers=user, timeout=10)
        return answer.status_code
    except requests.RequestException as error:
        return type(error).__name__


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    parser.add_argument("--failing", type=float, help="the share of the requests that fail, from 0 to 1")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        asked = []
        while time.monotonic() < until:
            asked.append(pool.submit(ask, options.base, *choose(len(asked), options.failing)))
            time.sleep(1 / options.rate)
    for answer, count in collections.Counter(f.result() for f in asked).most_common():
        print(f"{answer}: {count}")


if __name__ == "__main__":
    main()
