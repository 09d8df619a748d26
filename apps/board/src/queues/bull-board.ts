/**
 * Bull Board over all queues: the migrations', and each host's as hosts appear.
 *
 * INVARIANT: nothing can be changed through it unless the configuration says so: Bull Board refuses by itself, and what is not
 * a GET does not reach it.
 */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { ExpressAdapter } from '@bull-board/express';
import { hosts, openHostView, openMigrationsView, type BoardQueue, type RedisConnection } from '@cmt/queue';
import type { RequestHandler, Router } from 'express';
import type { Logger } from 'pino';
import { sameSite } from '../access/guard.ts';
import { shownData, shownProgress, shownResult } from './redaction.ts';

export interface QueuePages {
  readonly path: string;
  readonly handlers: readonly (RequestHandler | Router)[];
  close(): void;
}

export interface QueueParts {
  readonly redis: RedisConnection;
  readonly writes: boolean;
  /** Directory with Bull Board's pages: `dist/index.ejs` and `dist/static`. */
  readonly uiDir: string;
  readonly logger: Logger;
}

const PATH = '/queues';
/** Milliseconds between looks for new hosts. */
const LOOK_MS = 3_000;
/** Bull Board asks for all of its queues at once: more than these it could not show. */
const QUEUES_AT_MOST = 500;

export function queuePages({ redis, writes, uiDir, logger }: QueueParts): QueuePages {
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath(PATH);
  const board = createBullBoard({
    queues: [adapterOf(openMigrationsView(redis), 'migrations, worked by coordinators', writes)],
    serverAdapter,
    options: {
      uiBasePath: uiDir,
      uiConfig: {
        ...{ boardTitle: 'cmt queues', hideRedisDetails: true, hideDocsLink: true, sortQueues: true },
        // Would ask Redis for its list of clients, which a user that may only read cannot.
        showWorkers: false,
        miscLinks: [{ text: 'Fleet', url: '/' }],
      },
    },
  });
  const shown = new Map<string, BullMQAdapter>();
  const look = async (): Promise<void> => {
    const names = (await hosts(redis)).slice(0, QUEUES_AT_MOST).map(({ name }) => name);
    for (const name of names.filter((each) => !shown.has(each))) {
      const adapter = adapterOf(openHostView(redis, name), `legs of ${name}`, writes);
      shown.set(name, adapter);
      board.addQueue(adapter);
    }
    for (const [name, adapter] of shown) {
      if (names.includes(name)) continue;
      shown.delete(name);
      board.removeQueue(adapter);
    }
  };
  const again = (): void =>
    void look().catch((error: unknown) => logger.debug({ err: error }, 'hosts could not be looked up'));
  again();
  const timer = setInterval(again, LOOK_MS);
  return {
    path: PATH,
    handlers: [writes ? sameSite : onlyReading, serverAdapter.getRouter() as Router],
    close: () => clearInterval(timer),
  };
}

function adapterOf(queue: BoardQueue, description: string, writes: boolean): BullMQAdapter {
  const adapter = new BullMQAdapter(queue, { readOnlyMode: !writes, allowRetries: writes, description });
  adapter.setFormatter('data', shownData);
  adapter.setFormatter('returnValue', shownResult);
  adapter.setFormatter('progress', shownProgress);
  return adapter;
}

const onlyReading: RequestHandler = (request, response, next) => {
  if (request.method === 'GET' || request.method === 'HEAD') next();
  else response.status(405).set('allow', 'GET, HEAD').json({ error: 'This board only shows.' });
};
