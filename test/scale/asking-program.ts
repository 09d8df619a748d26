/** Who asks for the migrations of `npm run scale`: a client of a fleet, many requests under way at the same time. */
import { CmtClient } from '@cmt/client';
import { AskingOrder, wishOf } from './orders.ts';

const order = AskingOrder.parse(JSON.parse(process.argv[2] ?? '{}'));
/** Requests under way at the same time. */
const ASKING = 32;

const client = await CmtClient.connect({ redis: order.url, stateDir: order.dir });
let next = 0;
async function lane(): Promise<void> {
  while (next < order.migrations) {
    const at = next;
    next += 1;
    await client.enqueue({ ...wishOf(at, order.all), id: `m-${at}` });
  }
}

process.stdin.once('data', () => {
  for (let at = 0; at < ASKING; at += 1) void lane();
});
process.once('SIGTERM', () => process.exit(0));
process.stdout.write('ready\n');
