"""The shop as a Flask service. Stock instrumentation is outside: `opentelemetry-instrument flask --app app_flask run`."""

import logging

from flask import Flask, abort, request

import shop
import signals

logging.basicConfig(level=logging.INFO)
app = Flask(__name__)
shop.start()


@app.get("/products/<int:product_id>")
def product(product_id):
    found = shop.product(product_id)
    return {"name": found} if found else abort(404)


@app.get("/search")
def search():
    return shop.search(request.args.get("q", ""), request.headers.get("x-user"))


@app.post("/orders")
def order():
    return shop.order(request.headers.get("x-user"))


@app.get("/limited")
def limited():
    abort(429)


@app.get("/broken")
def broken():
    raise RuntimeError("always")


@app.get("/summary")
def summary():
    signals.model_call("small-1", input_tokens=120, output_tokens=30)
    return {"summary": "tea is cheap"}


@app.get("/healthz")
def healthz():
    return {}
