// A small shop over a PostgreSQL pool. Stock instrumentation is outside: see README.md.
'use strict';

const express = require('express');
const { Pool } = require('pg');

// Named here, not left to pg: instrumentation names the pool after what it was given.
const { PGHOST = '127.0.0.1', PGPORT = '5432', PGDATABASE = 'postgres' } = process.env;
const pool = new Pool({ host: PGHOST, port: Number(PGPORT), database: PGDATABASE, max: 4, idleTimeoutMillis: 10_000 });
const app = express();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

app.get('/products/:id', async (request, answer) => {
  const { rows } = await pool.query('select name from product where id = $1', [Number(request.params.id)]);
  if (!rows.length) return answer.status(404).json({});
  answer.json(rows[0]);
});

// Slow by nature: holds a connection while it thinks.
app.get('/search', async (_request, answer) => {
  const client = await pool.connect();
  try {
    await client.query('select pg_sleep($1)', [0.2 + Math.random() * 0.7]);
    answer.json([]);
  } finally {
    client.release();
  }
});

// Pays with retries, and fails where the provider stays away: about one in sixteen.
app.post('/orders', async (_request, answer) => {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    if (Math.random() > 0.5) return answer.json({ paid: true });
    await pause(20 * 2 ** attempt);
  }
  throw new Error('the payment provider did not answer');
});

app.get('/broken', () => {
  throw new Error('always');
});
app.get('/limited', (_request, answer) => answer.status(429).json({}));
app.get('/summary', (_request, answer) => answer.json({ summary: 'tea is cheap' }));
app.get('/healthz', (_request, answer) => answer.json({}));

async function main() {
  await pool.query('create table if not exists product (id integer primary key, name text)');
  await pool.query("insert into product values (1, 'tea'), (2, 'salt'), (3, 'rice') on conflict do nothing");
  const port = Number(process.env.PORT ?? 5000);
  app.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => setTimeout(() => process.exit(0), 1_000));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
