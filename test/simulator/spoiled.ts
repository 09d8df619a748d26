/** What a fault makes of one effect, and the errors that its caller then meets. */
import { CmtError } from '@cmt/contracts';
import type { Deed } from './faults.ts';
import { CONTAINER } from './sim-host.ts';
import type { SimProcess } from './sim-process.ts';

/** What a fault makes of one effect. */
export type Spoiled =
  | { readonly kind: 'lose-answer'; readonly error: Error }
  | { readonly kind: 'fail'; readonly error: Error }
  | { readonly kind: 'hang' };

/** What a deed that happens in the middle of an effect makes of it; null for every other deed. */
export function spoiledBy(deed: Deed, label: string, { node }: SimProcess): Spoiled | null {
  if (deed.kind === 'hang') return deed;
  if (deed.kind !== 'fail' && deed.kind !== 'lose-answer') return null;
  return { kind: deed.kind, error: errorAt(label, node) };
}

/** As the real thing would say it. */
function errorAt(label: string, host: string): Error {
  const reason = 'simulated';
  const [part] = label.split(' ');
  if (part === 'redis') return new CmtError('REDIS_UNREACHABLE', { url: 'redis://sim', reason });
  if (part === 'journal') return new CmtError('JOURNAL_FAILED', { host, path: '/journal', reason });
  if (part === 'link') return new CmtError('TRANSFER_BROKEN', { host, peer: 'peer', bytes: 0, reason });
  if (part === 'network')
    return new CmtError('NETWORK_FAILED', { host, container: CONTAINER, bridge: 'br0', reason });
  if (label === 'runtime dump' || label === 'runtime arm-dump')
    return new CmtError('DUMP_FAILED', { host, container: CONTAINER, reason });
  if (label === 'runtime pause') return new CmtError('FREEZE_FAILED', { host, container: CONTAINER, reason });
  return new Error(`${label}: ${reason}`);
}
