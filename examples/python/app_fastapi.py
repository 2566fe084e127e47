"""The shop as a FastAPI service. Stock instrumentation is outside: `opentelemetry-instrument uvicorn app_fastapi:app`."""

import logging

from fastapi import FastAPI, Header, HTTPException

import shop
import signals

logging.basicConfig(level=logging.INFO)
app = FastAPI()
shop.start()


@app.get("/products/{product_id}")
def product(product_id: int):
    found = shop.product(product_id)
    if found is None:
        raise HTTPException(404)
    return {"name": found}


@app.get("/search")
def search(q: str = "", x_user: str | None = Header(None)):
    return shop.search(q, x_user)


@app.post("/orders")
def order(x_user: str | None = Header(None)):
    return shop.order(x_user)


@app.get("/limited")
def limited():
    raise HTTPException(429)


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
