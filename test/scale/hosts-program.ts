/** Many simulated hosts in one process: real queues, leases, signatures and announcements. Told to stop, it says what it saw. */
import {
  announce,
  consumeLegs,
  DecisionRecord,
  LegEvents,
  loadKeyPair,
  openConnection,
  parseRedisUrl,
  tell,
  trustIn,
} from '@cmt/queue';
import { join } from 'node:path';
import { pino } from 'pino';
import { hostRecord } from '../support/host-record.ts';
import { HostsOrder, type HostsSaw } from './orders.ts';
import { simulate } from './simulated-steps.ts';

const order = HostsOrder.parse(JSON.parse(process.argv[2] ?? '{}'));
const logger = pino({ level: 'silent' });
const address = parseRedisUrl(order.url);
const worker = openConnection(address, 'worker', logger).setMaxListeners(0);
const producer = openConnection(address, 'producer', logger).setMaxListeners(0);
const decisions = new DecisionRecord(address, logger);
const own = await loadKeyPair(join(order.dir, 'hosts'));
const trust = trustIn(own, order.trusted, logger);

const saw: HostsSaw = { legs: 0, hopMs: [], firstMs: {} };
/** Enough to know the distribution. */
const SAMPLES = 20_000;

for (const name of order.hosts) {
  const containers = Array.from({ length: order.containers }, (_, at) => `${name}-c${at}`);
  const record = hostRecord(name, '127.0.0.1', containers);
  announce(producer, name, () => ({ ...record, seenAt: Date.now() }), logger);
  const options = { redis: worker, host: name, concurrency: 8, trust, logger };
  consumeLegs({ ...options, ledgerDir: join(order.dir, 'legs', name) }, async (leg, lease) => {
    const at = Date.now();
    saw.legs += 1;
    if (saw.hopMs.length < SAMPLES) saw.hopMs.push(at - leg.issuedAt);
    if (leg.migration.startsWith('probe')) saw.firstMs[leg.migration] ??= at;
    const events = new LegEvents((...told) => void tell(producer, ...told).catch(() => undefined));
    lease.onOver(() => events.flush());
    return await simulate(leg, decisions, lease.signal, (kind, step) =>
      events.tell({ v: 1, migration: leg.migration, at: Date.now(), host: name, kind, step, text: step }),
    );
  });
}
process.stdout.write('ready\n');
process.once('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify(saw)}\n`, () => process.exit(0));
});
