/** The processes of a fleet that a fault can hit, and their return. */
import { LOCK_MS } from '@cmt/contracts';
import { findDaemon, type DaemonId } from '@cmt/host';
import { isAlive, listDaemons } from '@cmt/lab';
import type { Fleet } from '../../support/fleet.ts';
import type { Scene, Victim } from './fault.ts';

/** Milliseconds that outlast every lock, and so what each side does when its own is lost. */
export const LONGER_THAN_A_LOCK_MS = LOCK_MS + 3_000;

const RESTART_MS = 90_000;

export async function processOf(victim: Victim, { fleet, source, target }: Scene): Promise<DaemonId> {
  if (victim !== 'coordinator') return workerOf(fleet, victim === 'source' ? source : target);
  const found = await findDaemon({ dir: fleet.stateDir, name: 'coordinator' });
  if (!found) throw new Error('no coordinator runs');
  return found;
}

async function workerOf({ lab }: Fleet, host: string): Promise<DaemonId> {
  const worker = (await listDaemons(lab, host)).find(
    ({ name, process }) => name === 'worker' && isAlive(process),
  );
  if (!worker) throw new Error(`no worker runs on ${host}`);
  return worker.process;
}

/** As systemd would: `lab up` starts what is not there and leaves alone what is. */
export async function restartWhatIsGone({ cmt, lab }: Fleet): Promise<void> {
  const up = await cmt(['lab', 'up', '--name', lab.name], RESTART_MS);
  if (!up.ok) throw new Error(`no restart after a fault: ${up.error?.message ?? ''}`);
}
