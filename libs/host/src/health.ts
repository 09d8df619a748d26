/** The health endpoint of a process: `GET /healthz` on 127.0.0.1, JSON, 200 while it is well and 503 while it is not. */
import { createServer } from 'node:http';

export interface Health {
  readonly ok: boolean;
  readonly [fact: string]: unknown;
}

/** Serves until closed. Port 0 serves nothing. @throws when the port is taken */
export async function serveHealth(
  port: number,
  health: () => Health | Promise<Health>,
): Promise<{ close(): Promise<void> }> {
  if (port === 0) return { close: () => Promise.resolve() };
  const server = createServer((request, response) => {
    if (request.url !== '/healthz') {
      response.writeHead(404).end();
      return;
    }
    void Promise.resolve(health())
      .catch((error: unknown): Health => ({ ok: false, reason: String(error) }))
      .then((facts) => {
        response.writeHead(facts.ok ? 200 : 503, { 'content-type': 'application/json' });
        response.end(`${JSON.stringify(facts)}\n`);
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return { close: () => new Promise((resolve) => server.close(() => resolve())) };
}
