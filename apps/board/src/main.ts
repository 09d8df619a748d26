/** The board: Bull Board, the fleet page, `/metrics` and `/healthz`, all from what Redis holds. */
import type { BoardConfig } from '@cmt/contracts';
import { connectProducer, parseRedisUrl } from '@cmt/queue';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { pino } from 'pino';
import { boardToken } from './access/token.ts';
import { openBoard } from './server.ts';

/** Where the board is, once it can be opened. */
export interface Ready {
  readonly url: string;
  /** The file or setting that its token is from. */
  readonly tokenFrom: string;
}

/**
 * Runs until SIGTERM or SIGINT.
 * @throws {CmtError} REDIS_UNREACHABLE, BOARD_TOKEN_UNUSABLE, BOARD_CANNOT_LISTEN
 */
export async function main(
  config: BoardConfig & { readonly redis: string },
  onReady: (ready: Ready) => void,
): Promise<void> {
  process.umask(0o077);
  const logger = pino({ level: config.logLevel, base: { app: 'board' } }, pino.destination(2));
  const token = await boardToken(config);
  const redis = await connectProducer(parseRedisUrl(config.redis), logger);
  const board = await openBoard({
    ...{ redis, logger, secret: token.secret, writes: config.boardWrites === 'yes' },
    ...{ address: config.boardAddress, port: config.boardPort },
    assets: join(import.meta.dirname, 'board'),
  });
  if (!isLoopback(config.boardAddress))
    logger.warn(
      { url: board.url },
      'reachable from elsewhere over plain HTTP: put a proxy with TLS before it',
    );
  onReady({ url: board.url, tokenFrom: token.from });
  await toldToStop();
  await board.close();
  redis.disconnect();
}

const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || (isIPv4(address) && address.startsWith('127.'));

const toldToStop = (): Promise<void> =>
  new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
