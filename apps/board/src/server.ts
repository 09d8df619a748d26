/**
 * The board as a web server.
 *
 * INVARIANTS
 * - Nothing but `/healthz`, the log-in and the style of its page is seen without the token.
 * - What it shows it reads from Redis each time; it writes nothing there.
 */
import { CmtError } from '@cmt/contracts';
import type { RedisConnection } from '@cmt/queue';
import express, { type ErrorRequestHandler, type Express } from 'express';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { guard, loginRoutes } from './access/guard.ts';
import { Sessions } from './access/session.ts';
import { strictHeaders } from './headers.ts';
import { liveRoutes, type Live } from './live/routes.ts';
import { CONTENT_TYPE, metricsText } from './metrics/page.ts';
import { Snapshots } from './metrics/snapshot.ts';
import { queuePages, type QueuePages } from './queues/bull-board.ts';
import { shellPage } from './shell.ts';

export interface BoardParts {
  readonly redis: RedisConnection;
  readonly secret: string;
  readonly writes: boolean;
  readonly address: string;
  readonly port: number;
  /** Directory of `page.js`, `page.css` and Bull Board's pages in `bull-board`. */
  readonly assets: string;
  readonly logger: Logger;
}

export interface Board {
  /** `http://address:port/`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Milliseconds that Redis may take to answer the question how it is. */
const HEALTH_MS = 2_000;

/** Listens until closed. @throws {CmtError} BOARD_CANNOT_LISTEN */
export async function openBoard(parts: BoardParts): Promise<Board> {
  const live = liveRoutes(parts.redis);
  const queues = queuePages({ ...parts, uiDir: join(parts.assets, 'bull-board') });
  const server = createServer(appOf(parts, live, queues));
  await listening(server, parts);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${parts.address.includes(':') ? `[${parts.address}]` : parts.address}:${port}/`,
    close: async () => {
      live.close();
      queues.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

function appOf({ redis, secret, assets, logger }: BoardParts, live: Live, queues: QueuePages): Express {
  const app = express().disable('x-powered-by');
  const sessions = new Sessions(secret);
  const snapshots = new Snapshots(redis);
  app.use(strictHeaders);
  app.get('/healthz', async (_request, response) => {
    const ok = await answers(redis);
    response.status(ok ? 200 : 503).json({ ok, redis: redis.status });
  });
  app.use('/assets', express.static(assets, { index: false, cacheControl: false }));
  app.use(loginRoutes(sessions));
  app.use(guard(sessions));
  app.get('/metrics', async (_request, response) => {
    response.type(CONTENT_TYPE).send(await metricsText(await snapshots.take()));
  });
  app.use(live.routes);
  app.use(queues.path, ...queues.handlers);
  app.get(['/', '/migrations/:id'], (_request, response) => void response.send(shellPage()));
  app.use((_request, response) => void response.status(404).send('There is no such page.\n'));
  app.use(failures(logger));
  return app;
}

/** What could not be answered: Redis is away, or a bug. */
const failures =
  (logger: Logger): ErrorRequestHandler =>
  (error: unknown, request, response, next) => {
    logger.warn({ err: error, path: request.path }, 'a page could not be answered');
    if (response.headersSent) next(error);
    else if (error instanceof CmtError) response.status(503).send(`${error.message}\n`);
    else response.status(statusOf(error)).send('The board could not answer.\n');
  };

/** express names a request that it cannot read by a status of its own. */
const statusOf = (error: unknown): number => {
  const { status } = error as { status?: unknown };
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
};

async function answers(redis: RedisConnection): Promise<boolean> {
  const late = new Promise<false>((resolve) => {
    setTimeout(() => resolve(false), HEALTH_MS).unref();
  });
  return await Promise.race([
    redis.ping().then(
      () => true,
      () => false,
    ),
    late,
  ]);
}

async function listening(server: Server, { address, port }: BoardParts): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const where = `${address}:${port}`;
      reject(new CmtError('BOARD_CANNOT_LISTEN', { address: where, reason: error.message }));
    });
    server.listen(port, address, resolve);
  });
}
